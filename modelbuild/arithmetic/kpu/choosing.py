"""Kernels of whole numbers: places of the largest or least floats, and conversions."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.executing import Kernel, Values


def arg(bound: Bound) -> Kernel:
    """The place of the largest or least along `axis`, of equal ones the first; a NaN is passed over."""
    axis, shape, dtype = bound.number("axis"), bound.output.shape, bound.output.dtype
    largest = bound.text("op") == "max"

    def run(x: Values) -> Values:
        known = np.where(np.isnan(x), -np.inf, x if largest else -x)
        return np.asarray(known.argmax(axis=axis), dtype).reshape(shape)

    return run


def topk(bound: Bound) -> Kernel:
    """The `k` least along `axis` in order, of equal ones the first, and their places."""
    axis, k = bound.number("axis"), bound.number("k")

    def run(x: Values) -> tuple[Values, Values]:
        places = np.take(np.argsort(x, axis=axis, kind="stable"), range(k), axis=axis)
        return np.take_along_axis(x, places, axis), places.astype(np.int64)

    return run  # type: ignore[return-value]  # the one kind with two outputs


def convert(bound: Bound) -> Kernel:
    """Fractions are cut off. What the type does not hold is its lowest number; of whole numbers the low bits
    are kept."""
    dtype = bound.output.dtype
    if bound.output.floating or not bound.inputs[0].floating:
        return lambda x: x.astype(dtype)
    low, end = np.iinfo(dtype).min, np.float32(2.0 ** (bound.output.bits - 1))

    def run(x: Values) -> Values:
        inside = (x >= -end) & (x < end)
        return np.where(inside, np.where(inside, x, 0).astype(dtype), low).astype(dtype)

    return run
