"""Grids of Python ints, and the steps that operators of docs/arithmetic.md share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.object_]  # an array of Python ints


def as_grid(values: Any) -> Grid:
    """The same numbers as Python ints, so that nothing wraps around."""
    array = np.asarray(values)
    grid = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        grid[index] = int(array[index])
    return grid


def rescale(v: int, multiplier: int, shift: int) -> int:
    r = 2 ** (shift - 1) if shift > 0 else 0
    return (v * multiplier + r) // 2**shift


def saturate(v: int, low: int, high: int) -> int:
    return min(max(v, low), high)


def finish(p: Mapping[str, Any], v: int, multiplier: int, shift: int) -> int:
    return saturate(rescale(v, multiplier, shift) + p["output_zero"], p["low"], p["high"])


def filled(shape: tuple[int, ...], value: Callable[[tuple[int, ...]], int]) -> Grid:
    grid = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        grid[index] = value(index)
    return grid


def window(
    size: int, kernel: int, stride: int, before: int, dilation: int, out: int
) -> list[tuple[int, int]]:
    """(tap, coordinate) of the cells of one window along one axis, those inside the picture only."""
    cells = [(tap, out * stride - before + tap * dilation) for tap in range(kernel)]
    return [(tap, at) for tap, at in cells if 0 <= at < size]


def extent(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
