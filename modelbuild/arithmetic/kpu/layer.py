"""The kernel of `kpu_conv`: sums of bytes, batch normalization, the table of segments, a pool. Exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound, Kernel
from modelbuild.arithmetic.convolution import Sums, accumulated
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.kpu.pools import pooled
from modelbuild.arithmetic.kpu.reach import fixed_part
from modelbuild.arithmetic.requantize import WHOLE, Part
from modelbuild.arithmetic.windows import Window

BYTE = 255
PIECE = 1 << 15  # values that go through the tables at a time, so that they stay in the cache
Wide = NDArray[np.int64]


def kpu_conv(bound: Bound) -> Kernel:
    """The layer, picture by picture. Where the correction by the bytes is not shifted, it is part of the
    weights, `Σ x·w + a·Σ x = Σ x·(w + a)`, which keeps the sums short."""
    weight, x = bound.constant("weight"), bound.inputs[0]
    one = _shifted(bound) if bound.number("shift_x") else _plain(bound)
    shape, pool = (len(weight), *x.shape[2:]), bound.text("pool")

    def run(values: Integers) -> Integers:
        made = np.empty((len(values), *shape), np.uint8)
        for sample, out in zip(values, made, strict=True):
            one(sample, out)
        return pooled(made, pool)

    return run


def _sums(bound: Bound, weight: Integers, depthwise: int) -> Sums:
    kernel = bound.number("kernel")
    picture, border = bound.inputs[0].shape[1:], kernel // 2
    window = Window((kernel, kernel), (1, 1), (1, 1), (border,) * 4, (picture[1], picture[2]))
    group = picture[0] if depthwise else 1
    return Sums(weight, group, window, picture, bound.number("pad_value"), BYTE)


def _plain(bound: Bound) -> Callable[[Integers, Integers], None]:
    weight = bound.constant("weight").astype(np.int64) + bound.number("arg_x")
    return accumulated(_sums(bound, weight, bound.number("depthwise")), Activation(bound))


def _shifted(bound: Bound) -> Callable[[Integers, Integers], None]:
    """With sums of products and sums of bytes apart."""
    weight, depthwise = bound.constant("weight").astype(np.int64), bound.number("depthwise")
    ones = np.ones_like(weight if depthwise else weight[:1])
    parts = [accumulated(_sums(bound, factors, depthwise), _copied) for factors in (weight, ones)]
    factor, shift = bound.number("arg_x"), bound.number("shift_x")
    finish = Activation(bound)

    def run(x: Integers, out: Integers) -> None:
        products = np.empty(out.shape, np.int64)
        total = np.empty((len(ones), *out.shape[1:]), np.int64)
        for part, sums in zip(parts, (products, total), strict=True):
            part(x, sums)
        products += factor * total >> shift
        finish(products.reshape(len(out), 1, -1), out.reshape(len(out), 1, -1))

    return run


def _copied(accumulator: NDArray[Any], out: Integers, part: Part = WHOLE) -> None:
    out[...] = accumulator[..., : out.shape[-1]]


class Activation:
    """From sums of products to bytes: v = ((sum + what is fixed)·M >> s) + add, then the segments."""

    def __init__(self, bound: Bound) -> None:
        self.fixed = fixed_part(bound)[:, None, None]
        self.multiplier, self.shift, self.add = (
            bound.constant(role).astype(np.int64)[:, None, None]
            for role in ("bn_multiplier", "bn_shift", "bn_add")
        )
        self.segments = Segments(bound)

    def __call__(self, accumulator: NDArray[Any], out: Integers, part: Part = WHOLE) -> None:
        """`accumulator` [R, H, W'] holds whole numbers in any type, of the channels `part[0]`; `out`
        [R, H, W] is written, W ≤ W': what lies behind is left out."""
        fixed, multiplier, shift, add = (
            values[part[0]] for values in (self.fixed, self.multiplier, self.shift, self.add)
        )
        rows = max(1, PIECE // max(1, accumulator[0].size))
        for start in range(0, len(accumulator), rows):
            piece = slice(start, start + rows)
            values = accumulator[piece, :, : out.shape[-1]].astype(np.int64)
            values += fixed[piece]
            values *= multiplier[piece]
            values >>= shift[piece]
            values += add[piece]
            out[piece] = self.segments(values)


class Segments:
    """y = clamp(R((v - start)·M, shift) + add, 0, 255) of the last segment that begins below v."""

    def __init__(self, bound: Bound) -> None:
        self.starts, self.multipliers, self.shifts, self.adds = (
            bound.constant(f"segment_{role}").astype(np.int64)
            for role in ("start", "multiplier", "shift", "add")
        )

    def __call__(self, values: Wide) -> Integers:
        """Bytes of values that all lie above the first segment's start."""
        segment = np.searchsorted(self.starts[1:], values)
        product = values - self.starts[segment]
        product *= self.multipliers[segment]
        found = rounded(product, self.shifts[segment])
        found += self.adds[segment]
        return np.clip(found, 0, BYTE, out=found).astype(np.uint8)


def rounded(values: Wide, shift: Wide) -> Wide:
    """The rounding shift of the KPU: to the nearest, halves to even; but where a negative value would be
    rounded up from its floor, it goes down by one instead."""
    whole = values >> shift
    rest = values - (whole << shift)
    rest <<= 1
    unit = np.left_shift(np.int64(1), shift)
    away = (rest > unit) | ((rest == unit) & ((whole & 1) == 1))
    whole += np.where(values < 0, -1, 1) * away
    return whole
