"""Kernels of `max_pool` and `average_pool`: over rows first, then over columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from modelbuild.arithmetic.binding import Bound, Kernel, magnitude
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.requantize import Requantizer, Scaling, Wide
from modelbuild.arithmetic.windows import Planes, Window, extent, window_of

CELLS = 1 << 17  # of a block of planes


def max_pool(bound: Bound) -> Kernel:
    """The largest cell of each window; cells outside the picture never win."""
    planes = Planes(window_of(bound, bound.numbers("kernel")), bound.inputs[0].shape[2:])
    low, high = bound.number("low"), bound.number("high")
    shape, x_type = bound.output.shape, bound.inputs[0].dtype
    least = int(np.iinfo(x_type).min)

    def run(x: Integers) -> Integers:
        out = np.empty(shape, x_type)
        for picture, made in zip(x, out, strict=True):
            for channels, rows in planes.blocks(len(picture), CELLS):
                cells = _loaded(planes, picture[channels], rows, least, x_type)
                made[channels, rows] = _folded(np.maximum, cells, planes)
        return np.asarray(np.clip(out, low, high, out=out))

    return run


def average_pool(bound: Bound) -> Kernel:
    """Sums of cells, z outside the picture; each place divides by the number of its cells."""
    window = window_of(bound, bound.numbers("kernel"))
    planes = Planes(window, bound.inputs[0].shape[2:])
    zero = bound.number("input_zero")
    cells = window_cells(window, bound.inputs[0].shape[-2:], bool(bound.number("count_include_pad")))
    at = np.searchsorted(bound.constant("count"), cells)[None]
    taps = window.kernel[0] * window.kernel[1]
    scaling = Scaling(
        bound.constant("multiplier").astype(np.int64)[at],
        bound.constant("shift").astype(np.int64)[at],
        np.full((1, 1, 1), -zero * taps, np.int64),
        taps * magnitude(bound.inputs[0], 0),
    )
    requantize = Requantizer(bound, scaling)
    sum_type = np.int32 if scaling.largest < 1 << 31 else np.int64
    shape, dtype = bound.output.shape, bound.output.dtype

    def run(x: Integers) -> Integers:
        out = np.empty(shape, dtype)
        for picture, made in zip(x, out, strict=True):
            for channels, rows in planes.blocks(len(picture), CELLS):
                cells = _loaded(planes, picture[channels], rows, zero, sum_type)
                requantize(_folded(np.add, cells, planes), made[channels, rows], (channels, rows))
        return out

    return run


def _loaded(planes: Planes, x: Integers, rows: slice, fill: int, dtype: DTypeLike) -> NDArray[Any]:
    return planes.load(x, rows.start, fill, np.empty(planes.shape(len(x), rows.stop - rows.start), dtype))


def _folded(fold: np.ufunc, cells: NDArray[Any], planes: Planes) -> NDArray[Any]:
    """`fold` over the windows of loaded planes: [C, rows, W']."""
    rows = cells.shape[3] - planes.rows.reach
    lines = _along(fold, [cells[tap.plane, :, :, tap.place : tap.place + rows] for tap in planes.rows.taps])
    width = planes.window.out[1]
    return _along(fold, [lines[tap.plane, ..., tap.place : tap.place + width] for tap in planes.columns.taps])


def _along(fold: np.ufunc, parts: list[NDArray[Any]]) -> NDArray[Any]:
    total = parts[0].copy()
    for part in parts[1:]:
        fold(total, part, out=total)
    return total


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
