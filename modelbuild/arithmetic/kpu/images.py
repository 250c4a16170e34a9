"""Kernels of Resize: places and shares in float32, step by step as the runtime works them out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.executing import Kernel, Values

_HALF, _ONE = np.float32(0.5), np.float32(1)
Places = NDArray[np.int64]


class Line(NamedTuple):
    """For each place along an axis: the cell before, the one behind, and the share of the one behind."""

    before: Places
    behind: Places
    share: NDArray[np.float32]


def resize_nearest(bound: Bound) -> Kernel:
    """One cell for each; moves values of any type."""
    rows, columns = (nearest(bound, axis) for axis in (2, 3))
    return lambda x: np.ascontiguousarray(x[:, :, rows[:, None], columns])


def nearest(bound: Bound, axis: int) -> Places:
    """The cells that are taken along an axis."""
    size, out = bound.inputs[0].shape[axis], bound.output.shape[axis]
    start = _HALF if bound.number("half_pixel") else np.float32(0)
    places = (np.arange(out).astype(np.float32) + start) * _scale(bound, axis)
    if bound.number("align_corners"):
        places = np.floor(places.astype(np.float64) + 0.5)  # halves away from 0; nothing is negative
    return np.asarray(np.minimum(np.floor(places), size - 1), np.int64)


def resize_bilinear(bound: Bound) -> Kernel:
    """Four cells for each, added in the order top left, bottom left, top right, bottom right."""
    rows, columns = (line(bound, axis) for axis in (2, 3))
    down, right = rows.share[:, None], columns.share
    parts = (
        (rows.before, columns.before, (_ONE - down) * (_ONE - right)),
        (rows.behind, columns.before, down * (_ONE - right)),
        (rows.before, columns.behind, (_ONE - down) * right),
        (rows.behind, columns.behind, down * right),
    )

    def run(x: Values) -> Values:
        total = np.zeros(bound.output.shape, np.float32)  # +0: the runtime leaves no -0
        for row, column, factor in parts:
            total = total + x[:, :, row[:, None], column] * factor
        return total

    return run


def line(bound: Bound, axis: int) -> Line:
    """The cells and shares along an axis."""
    sizes = bound.inputs[0].shape[axis], bound.output.shape[axis]
    return line_of(*sizes, corners=bool(bound.number("align_corners")), half=bool(bound.number("half_pixel")))


def line_of(size: int, out: int, *, corners: bool, half: bool) -> Line:
    """The cells and shares of `out` places along an axis of `size` cells."""
    scale, place = _scale_of(size, out, corners), np.arange(out).astype(np.float32)
    place = (place + _HALF) * scale - _HALF if half else place * scale
    before = np.clip(np.floor(place).astype(np.int64), 0, size - 1)
    behind = np.clip(np.ceil(place).astype(np.int64), 0, size - 1)
    return Line(before, behind, (place - before.astype(np.float32)).astype(np.float32))


def _scale(bound: Bound, axis: int) -> np.float32:
    sizes = bound.inputs[0].shape[axis], bound.output.shape[axis]
    return _scale_of(*sizes, bool(bound.number("align_corners")))


def _scale_of(size: int, out: int, corners: bool) -> np.float32:
    if corners and out > 1:
        return np.float32(np.float32(size - 1) / np.float32(out - 1))
    return np.float32(np.float32(size) / np.float32(out))
