"""Gradients of pools."""

from __future__ import annotations

import math

import numpy as np

from modelbuild.graph.gradients.products import transposed
from modelbuild.graph.gradients.reduction import spread_maximum, spread_mean
from modelbuild.graph.gradients.step import NoRule, Rules, Step
from modelbuild.graph.gradients.windows import Window, window_of


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
    inverse = _inverse_divisors(step, window)
    shape, counts = step.shape(step.x), step.shape(step.y)
    rows = shape[0] * shape[1]
    shares = step.reshaped(step.emit("Mul", step.gradient, inverse), (rows, 1, *counts[2:]))
    ones = step.constant(np.ones((1, 1, *window.kernel), np.float32))
    step.give(0, step.reshaped(transposed(step, shares, ones, window), shape))


def _inverse_divisors(step: Step, window: Window) -> str:
    """1 / what each window's sum is divided by: the pool of ones, less its number of real cells.

    So onnxruntime itself says what counts at the borders, which differs between versions of the operator.
    """
    shape, counts = step.shape(step.x), step.shape(step.y)
    cells = np.ones((), np.float32)
    for axis, size in enumerate(shape[2:]):
        starts = np.arange(counts[2 + axis]) * window.strides[axis] - window.pads[axis]
        places = starts[:, None] + window.dilations[axis] * np.arange(window.kernel[axis])
        inside = ((places >= 0) & (places < size)).sum(axis=1).astype(np.float32)
        cells = np.multiply.outer(cells, inside)
    if cells.min() < 1:
        raise NoRule
    ones = step.constant(np.ones((1, 1, *shape[2:]), np.float32))
    shares = step.emit("AveragePool", ones, **step.node.attributes)
    return step.emit("Div", shares, step.constant(cells[None, None]))


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
