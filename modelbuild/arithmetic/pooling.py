"""Kernels of `max_pool` and `average_pool`."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.binding import Bound, Kernel
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.requantize import Wide, half, saturated
from modelbuild.arithmetic.windows import Window, extent, span, window_of


def max_pool(bound: Bound) -> Kernel:
    """The largest cell of each window; cells outside the picture never win."""
    window = window_of(bound, bound.numbers("kernel"))
    low, high = bound.number("low"), bound.number("high")

    def run(x: Integers) -> Integers:
        taps = [tap for _, tap in window.taps(window.padded(x, int(np.iinfo(x.dtype).min)))]
        out = taps[0].copy()
        for tap in taps[1:]:
            np.maximum(out, tap, out=out)
        return np.asarray(np.clip(out, low, high))

    return run


def average_pool(bound: Bound) -> Kernel:
    """Sums by rows, then by columns; each place divides by the number of its cells."""
    window = window_of(bound, bound.numbers("kernel"))
    zero = bound.number("input_zero")
    cells = window_cells(window, bound.inputs[0].shape[-2:], bool(bound.number("count_include_pad")))
    at = np.searchsorted(bound.constant("count"), cells)
    multiplier = bound.constant("multiplier").astype(np.int64)[at]
    shift = bound.constant("shift").astype(np.int64)[at]

    def run(x: Integers) -> Integers:
        total = _sums(window.padded(x.astype(np.int64) - zero), window)
        total *= multiplier
        total += half(shift)
        total >>= shift
        return saturated(total, bound)

    return run


def window_cells(window: Window, picture: tuple[int, ...], include_pad: bool) -> Wide:
    """How many cells each window divides by, [H', W']."""
    lines = []
    for axis in range(2):
        before, after = window.pads[axis], window.pads[axis + 2]
        places = np.arange(window.out[axis]) * window.strides[axis]
        first, end = (0, before + picture[axis] + after) if include_pad else (before, before + picture[axis])
        lines.append(np.minimum(places + window.kernel[axis], end) - np.maximum(places, first))
    return np.asarray(np.outer(lines[0], lines[1]), dtype=np.int64)


def window_is_hollow(size: int, kernel: int, stride: int, pads: tuple[int, int], dilation: int) -> bool:
    """Whether some window along an axis meets no cell of the picture."""
    for place in range(extent(size, kernel, stride, pads, dilation)):
        at = [place * stride - pads[0] + tap * dilation for tap in range(kernel)]
        if not any(0 <= cell < size for cell in at):
            return True
    return False


def _sums(padded: Wide, window: Window) -> Wide:
    rows = sum(padded[..., span(i, window.strides[0], window.out[0]), :] for i in range(window.kernel[0]))
    assert not isinstance(rows, int)
    columns = [rows[..., span(j, window.strides[1], window.out[1])] for j in range(window.kernel[1])]
    return np.asarray(sum(columns), dtype=np.int64)
