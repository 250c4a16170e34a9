"""Kernels of `reduce_sum`, `reduce_max` and `softmax`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound, Kernel
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.operator_shapes import SOFTMAX_SHIFT
from modelbuild.arithmetic.requantize import rescaled, saturated


def reduce_sum(bound: Bound) -> Kernel:
    """The sum along `axes`; a mean has 1/n in its multiplier."""
    zero, axes, keep = bound.number("input_zero"), bound.numbers("axes"), bool(bound.number("keepdims"))
    multiplier, shift = bound.number("multiplier"), bound.number("shift")

    def run(x: Integers) -> Integers:
        total = np.asarray((x.astype(np.int64) - zero).sum(axis=axes, keepdims=keep))
        return rescaled(total, multiplier, shift, bound)

    return run


def reduce_max(bound: Bound) -> Kernel:
    """The largest along `axes`."""
    axes, keep = bound.numbers("axes"), bool(bound.number("keepdims"))

    def run(x: Integers) -> Integers:
        return np.asarray(x.max(axis=axes, keepdims=keep))

    return run


def softmax(bound: Bound) -> Kernel:
    """Shares of stored exponentials, rounded to the nearest, in whole numbers."""
    axis, one = bound.number("axis"), bound.number("one")
    exponentials = _exponentials(bound)

    def run(x: Integers) -> Integers:
        wide = x.astype(np.int64)
        e = exponentials[wide.max(axis=axis, keepdims=True) - wide]
        total = e.sum(axis=axis, keepdims=True)
        return saturated((2 * one * e + total) // (2 * total), bound)

    return run


def _exponentials(bound: Bound) -> NDArray[np.int64]:
    """By distance from the largest; of 16 bits, a product of the distance's upper and its lower byte."""
    entries = bound.constant("table").astype(np.int64)
    if bound.inputs[0].bits == 8:
        return entries
    products = np.multiply.outer(entries[:256], entries[256:]).reshape(-1)
    return np.asarray((products + (1 << (SOFTMAX_SHIFT - 1))) >> SOFTMAX_SHIFT)
