"""Resizing of 8-bit pictures in integers: the same bytes on every machine and with every pillow version."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # [H, W, C]
Floats = NDArray[np.float64]

# The filter coefficients are rounded to this many fractional bits, as pillow's 8-bit path does: 255 times a
# coefficient sum of at most 1.5 still fits 32 bits.
_FRACTION_BITS = 22


def _box(x: Floats) -> Floats:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _triangle(x: Floats) -> Floats:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(x: Floats) -> Floats:
    """Keys' cubic with a = -0.5 (R. Keys, 1981)."""
    a = -0.5
    x = np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


_KERNELS: dict[str, tuple[Callable[[Floats], Floats], float]] = {
    "area": (_box, 0.5),
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
}
FILTERS = ("bilinear", "nearest", "bicubic", "area")


def resize(picture: Pixels, height: int, width: int, kernel: str) -> Pixels:
    """[H, W, C] -> [height, width, C], the width first. Pixel centres lie at half coordinates. When a picture
    shrinks, the kernel is widened by the factor (antialiasing): `bilinear`, `bicubic` and `area` are what
    pillow calls BILINEAR, BICUBIC and BOX. `nearest` takes the source pixel that holds the centre."""
    for axis, size in ((1, width), (0, height)):
        if picture.shape[axis] == size:
            continue
        if kernel == "nearest":
            picture = np.take(picture, _nearest(picture.shape[axis], size), axis=axis)
        else:
            picture = _filter(picture, axis, size, kernel)
    return picture


def matrix(source: int, size: int, kernel: str) -> NDArray[np.float32]:
    """[source, size]: what `resize` does along one axis, before it rounds to whole pixel values."""
    found = np.zeros((source, size), np.float32)
    columns = np.arange(size)
    if kernel == "nearest":
        found[_nearest(source, size), columns] = 1
        return found
    first, coefficients = _coefficients(source, size, kernel)
    for tap in range(coefficients.shape[1]):
        weights = coefficients[:, tap].astype(np.float64) / (1 << _FRACTION_BITS)
        found[np.minimum(first + tap, source - 1), columns] += weights.astype(np.float32)
    return found


def _nearest(source: int, size: int) -> NDArray[np.int64]:
    return (2 * np.arange(size, dtype=np.int64) + 1) * source // (2 * size)


def _filter(picture: Pixels, axis: int, size: int, kernel: str) -> Pixels:
    first, coefficients = _coefficients(picture.shape[axis], size, kernel)
    shape = tuple(size if position == axis else length for position, length in enumerate(picture.shape))
    total = np.full(shape, 1 << (_FRACTION_BITS - 1), np.int32)
    last = picture.shape[axis] - 1
    column = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    for tap in range(coefficients.shape[1]):
        cells = np.take(picture, np.minimum(first + tap, last), axis=axis)
        total += cells * coefficients[:, tap].reshape(column)
    pixels: Pixels = np.clip(total >> _FRACTION_BITS, 0, 255).astype(np.uint8)
    return pixels


def _coefficients(source: int, size: int, kernel: str) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """For each of `size` cells its first source cell, and the integer weights [size, taps] from there on."""
    function, support = _KERNELS[kernel]
    scale = source / size
    stretch = max(scale, 1.0)
    support *= stretch
    centre = (np.arange(size, dtype=np.float64) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), source)
    taps = np.arange(int((last - first).max()), dtype=np.int64)
    cells = first[:, None] + taps
    weights = function((cells - centre[:, None] + 0.5) * (1.0 / stretch))
    weights[cells >= last[:, None]] = 0.0
    sums = np.zeros(size)
    for tap in taps:  # one after the other: numpy's own sum may add in another order on another machine
        sums += weights[:, tap]
    fixed = weights / sums[:, None] * float(1 << _FRACTION_BITS)
    return first, np.trunc(fixed + np.where(fixed < 0, -0.5, 0.5)).astype(np.int32)
