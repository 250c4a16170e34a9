"""Gradients of pools."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from modelbuild.graph.gradients.products import transposed
from modelbuild.graph.gradients.reduction import spread_maximum, spread_mean
from modelbuild.graph.gradients.step import NoRule, Rules, Step
from modelbuild.graph.gradients.windows import Window, window_of
from modelbuild.graph.model import Array, Graph
from modelbuild.graph.session import FloatSession


def _max_pool(step: Step) -> None:
    """Each gradient goes to the place of its maximum, the first of several."""
    if step.node.int("storage_order", 0):
        raise NoRule
    shape = step.shape(step.x)
    _, places = step.emit_many("MaxPool", [step.x], 2, step.node.attributes)
    flat = [step.reshaped(name, (-1,)) for name in (places, step.gradient)]
    zeros = step.zeros((math.prod(shape),))
    step.give(0, step.reshaped(step.emit("ScatterElements", zeros, *flat, reduction="add"), shape))


def _average_pool(step: Step) -> None:
    """Each gradient, divided by its window's divisor, goes to all cells of its window."""
    window = window_of(step, step.node.ints("kernel_shape", []))
    inverse = step.constant(_inverse_divisors(step, window))
    shape, counts = step.shape(step.x), step.shape(step.y)
    rows = shape[0] * shape[1]
    shares = step.reshaped(step.emit("Mul", step.gradient, inverse), (rows, 1, *counts[2:]))
    ones = step.constant(np.ones((1, 1, *window.kernel), np.float32))
    step.give(0, step.reshaped(transposed(step, shares, ones, window), shape))


def _inverse_divisors(step: Step, window: Window) -> Array:
    """1 / what each window's sum is divided by: the pool of ones, less its number of real cells.

    So onnxruntime itself says what counts at the borders, which differs between versions of the operator.
    """
    sizes, counts = step.shape(step.x)[2:], step.shape(step.y)[2:]
    cells = np.ones((1, 1), np.float32)
    for axis, size in enumerate(sizes):
        starts = np.arange(counts[axis]) * window.strides[axis] - window.pads[axis]
        places = starts[:, None] + window.dilations[axis] * np.arange(window.kernel[axis])
        inside = ((places >= 0) & (places < size)).sum(axis=1).astype(np.float32)
        cells = np.multiply.outer(cells, inside)
    if cells.min() < 1:
        raise NoRule
    pool = Graph("ones", [replace(step.node, inputs=["x"], outputs=["y"])], ["x"], ["y"], {})
    pool.shapes, pool.opset = {"x": (1, 1, *sizes), "y": cells.shape}, step.graph.opset
    shares = FloatSession(pool).run({"x": np.ones(pool.shapes["x"], np.float32)})["y"]
    return np.asarray(shares, np.float32) / cells


def _global_average(step: Step) -> None:
    spread_mean(step, step.gradient, range(2, len(step.shape(step.x))))


def _global_maximum(step: Step) -> None:
    spread_maximum(step, step.gradient, range(2, len(step.shape(step.x))))


RULES: Rules = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_maximum,
    "MaxPool": _max_pool,
}
