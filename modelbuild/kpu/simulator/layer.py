"""The arithmetic of one KPU layer: convolution, batch normalization, activation table. Exact integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelbuild.formats.kmodel.kpu_tables import MAX_SHIFT, BatchNorm, Segment
from modelbuild.kpu.simulator.limits import refused
from modelbuild.kpu.simulator.memory import Array

BITS = 36  # of an accumulator, and of what batch normalization leaves, with sign
_LOW, _HIGH = -(1 << BITS - 1), (1 << BITS - 1) - 1
BLOCK = 1 << 18  # values that go through the tables at once: they stay in the cache


@dataclass(frozen=True)
class Arithmetic:
    """What turns sums of products into the sums of the layer: registers 4, 9 and 10."""

    pad_value: int
    arg_x: int
    shift_x: int
    arg_w: int
    shift_w: int
    arg_add: int


def sums(x: Array, weights: Array, how: Arithmetic, *, depthwise: bool) -> Array:
    """Sums of a layer as int64, (output channels, height, width), of bytes (channels, height, width) and
    weights (output channels, input channels or 1, kernel, kernel). A 3x3 kernel sees `pad_value` outside."""
    channels, height, width = x.shape
    kernel = weights.shape[2]
    border = kernel // 2
    pitch = width + 2 * border
    # One row of zeros below: the windows are slices of the flat map, which run over its end.
    flat = np.zeros((channels, (height + 2 * border + (1 if border else 0)) * pitch), np.float64)
    padded = flat.reshape(channels, -1, pitch)[:, : height + 2 * border]
    padded[...] = how.pad_value
    padded[:, border : border + height, border : border + width] = x
    count = height * pitch
    taps = [row * pitch + column for row in range(kernel) for column in range(kernel)]
    factors = weights.reshape(weights.shape[0], weights.shape[1], -1).astype(np.float64)
    # Sums of products of bytes stay far below 2**53: float64 holds them all.
    found = np.zeros((weights.shape[0], count), np.float64)
    for index, start in enumerate(taps):
        window = flat[:, start : start + count]
        if depthwise:
            found += factors[:, 0, index, None] * window
        else:
            found += factors[:, :, index] @ window
    total = _cropped(found, height, width, pitch)
    if how.arg_x:
        own = np.zeros((channels if depthwise else 1, count), np.float64)
        source = flat if depthwise else flat.sum(axis=0, keepdims=True)
        for start in taps:
            own += source[:, start : start + count]
        total += how.arg_x * _cropped(own, height, width, pitch) >> how.shift_x
    if how.arg_w:
        weight_sums = weights.reshape(weights.shape[0], -1).sum(axis=1, dtype=np.int64)
        total += (how.arg_w * weight_sums >> how.shift_w)[:, None, None]
    total += how.arg_add * weights.shape[1]
    return total


def _cropped(flat: Array, height: int, width: int, pitch: int) -> Array:
    """The sums of whole windows, without those that begin in the border."""
    return flat.reshape(-1, height, pitch)[:, :, :width].astype(np.int64)


def activated(total: Array, norms: Sequence[BatchNorm], segments: Sequence[Segment]) -> Array:
    """Bytes of the sums: batch normalization a channel, then the table. Errors: ModelbuildError for values
    that 36 bits do not hold, and for those below the first segment."""
    found = np.empty(total.shape, np.uint8)
    rows = max(1, BLOCK // max(1, total[0].size))
    mul, add, shift = (
        np.array([getattr(norm, name) for norm in norms], np.int64)[:, None, None]
        for name in ("mul", "add", "shift")
    )
    for start in range(0, len(total), rows):
        part = slice(start, start + rows)
        _check(total[part], "the sums of a layer")
        found[part] = through((total[part] * mul[part] >> shift[part]) + add[part], segments)
    return found


def through(values: Array, segments: Sequence[Segment]) -> Array:
    """Bytes of the values after the activation table: of the last segment that begins below the value."""
    _check(values, "the values after batch normalization")
    starts = np.array([item.start for item in segments], np.int64)
    if (np.diff(starts) >= 0).all():
        index = np.searchsorted(starts, values, side="left") - 1
    else:
        index = np.full(values.shape, -1)
        for number, start in enumerate(starts):
            index[values > start] = number
    if index.size and index.min() < 0:
        raise refused("a value lies below all segments of an activation table")
    mul, shift, add = (
        np.array([getattr(item, name) for item in segments], np.int64) for name in ("mul", "shift", "add")
    )
    if shift.max() > MAX_SHIFT:
        raise refused(f"an activation table shifts by {shift.max()}, more than {MAX_SHIFT}")
    product = (values - starts[index]) * mul[index]
    return np.clip(rounded(product, shift[index]) + add[index], 0, 255).astype(np.uint8)


def rounded(values: Array, shift: Array) -> Array:
    """The KPU's rounding shift: to the nearest, ties to even. Of negative values the floor is taken, and one
    that would round up goes down instead: -0.25 becomes -2, not 0."""
    whole = values >> shift
    part = values & ((np.int64(1) << shift) - 1)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), np.int64(1))
    away = (part > half) | ((part == half) & (whole & 1 == 1))
    return np.asarray(whole + np.where(away, np.where(values < 0, -1, 1), 0))


def _check(values: Array, what: str) -> None:
    if values.size and (values.min() < _LOW or values.max() > _HIGH):
        raise refused(f"{what} need more than {BITS} bits")
