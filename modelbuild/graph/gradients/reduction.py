"""Gradients of ReduceMean, ReduceSum, ReduceMax and Softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence

from modelbuild.graph.gradients.step import NoRule, Rules, Step


def spread_mean(step: Step, gradient: str, axes: Sequence[int]) -> None:
    """Every cell takes its share of the gradient of the mean along `axes`, which keeps them as 1."""
    shape = step.shape(step.x)
    count = math.prod(shape[axis] for axis in axes)
    share = step.emit("Mul", gradient, step.number(1 / count))
    step.give(0, step.emit("Expand", share, step.longs(shape)))


def spread_maximum(step: Step, gradient: str, axes: Sequence[int]) -> None:
    """The largest cells along `axes` take the gradient, equal ones in equal parts."""
    largest = step.emit("ReduceMax", step.x, axes=list(axes), keepdims=1)
    marks = step.emit("Cast", step.emit("Equal", step.x, largest), to=1)
    share = step.emit("Div", gradient, step.summed(marks, axes))
    step.give(0, step.emit("Mul", marks, share))


def _reduced(step: Step) -> tuple[str, list[int]]:
    """The gradient with the reduced axes kept as 1, and these axes."""
    shape = step.shape(step.x)
    axes = step.node.ints("axes", []) or step.integers(1) or []
    if not axes:
        if step.node.int("noop_with_empty_axes", 0):
            raise NoRule
        axes = list(range(len(shape)))
    found = sorted(axis % len(shape) for axis in axes)
    kept = [1 if axis in found else size for axis, size in enumerate(shape)]
    return step.reshaped(step.gradient, kept), found


def _mean(step: Step) -> None:
    spread_mean(step, *_reduced(step))


def _sum(step: Step) -> None:
    gradient, _ = _reduced(step)
    step.give(0, step.emit("Expand", gradient, step.longs(step.shape(step.x))))


def _maximum(step: Step) -> None:
    spread_maximum(step, *_reduced(step))


def _softmax(step: Step) -> None:
    """y (g - sum(g y))."""
    axis = step.node.int("axis", -1) % len(step.shape(step.x))
    weighted = step.emit("Mul", step.gradient, step.y)
    total = step.summed(weighted, [axis])
    step.give(0, step.emit("Sub", weighted, step.emit("Mul", step.y, total)))


RULES: Rules = {"ReduceMax": _maximum, "ReduceMean": _mean, "ReduceSum": _sum, "Softmax": _softmax}
