"""The kernel of `kpu_conv`: sums of bytes, batch normalization, the table of segments, a pool. Exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound, Kernel
from modelbuild.arithmetic.convolution import Sums, accumulated
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.kpu.pools import pooled
from modelbuild.arithmetic.kpu.reach import fixed_part, of_values
from modelbuild.arithmetic.requantize import WHOLE, Part
from modelbuild.arithmetic.windows import Window

BYTE = 255
PIECE = 1 << 15  # values that go through the tables at a time, so that they stay in the cache
FEW = 4  # edges that are compared one by one
Wide = NDArray[np.int64]
Reals = NDArray[np.float64]


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
    """From sums of products to bytes: v = ((sum + what is fixed)·M >> s) + add, then the segments.

    All in float64, exactly. A valid layer has |v| ≤ 2^35 for any bytes, so with s ≤ 15 no sum·M leaves ±2^51,
    nor does that of what is fixed, which is the sum of bytes of 0: what stands between them, and the floor,
    are exact."""

    def __init__(self, bound: Bound) -> None:
        multiplier, shift, add = (
            bound.constant(role).astype(np.int64)[:, None, None]
            for role in ("bn_multiplier", "bn_shift", "bn_add")
        )
        fixed = fixed_part(bound)[:, None, None] * multiplier + (add << shift)
        self.factor, self.offset = (
            np.ldexp(values.astype(np.float64), -shift) for values in (multiplier, fixed)
        )
        self.lines = lines_of(bound)

    def __call__(self, accumulator: NDArray[Any], out: Integers, part: Part = WHOLE) -> None:
        """`accumulator` [R, H, W'] holds whole numbers in any type, of the channels `part[0]`; `out`
        [R, H, W] is written, W ≤ W': what lies behind is left out."""
        rows = max(1, PIECE // max(1, accumulator[0].size))
        factor, offset = self.factor[part[0]], self.offset[part[0]]
        for start in range(0, len(accumulator), rows):
            piece = slice(start, start + rows)
            sums = accumulator[piece, :, : out.shape[-1]]
            values = np.multiply(sums, factor[piece], dtype=np.float64)
            values += offset[piece]
            np.floor(values, out=values)
            self._activate(values, out[piece])

    def _activate(self, values: Reals, out: Integers) -> None:
        """Products of 36 bits and 16 are exact, and whole numbers over 2^shift are rounded once."""
        slope, start, add = self.lines.chosen(values)
        values *= slope
        values += start
        found = np.rint(values)
        if self.lines.falls:
            down = values < 0
            found[down] = 2 * np.floor(values[down]) - found[down]
        found += add
        np.copyto(out, np.clip(found, 0, BYTE, out=found), casting="unsafe")


class Lines(NamedTuple):
    """y = R(v · slope + start) + add, for v above `after` (of all but the first line).

    R is to the nearest, halves to even; but a negative number that would be rounded up from its floor goes
    down by one instead, so that R(p) = 2·floor(p) − round(p). Negative are only those of lines that fall."""

    after: Reals
    slope: Reals
    start: Reals
    add: Reals

    @property
    def falls(self) -> bool:
        """Whether a line goes down."""
        return bool((self.slope < 0).any())

    def chosen(self, values: Reals) -> tuple[Reals, Reals, Reals]:
        """Slope, start and add of each value's line; numbers where there is but one."""
        if not len(self.after):
            return self.slope, self.start, self.add
        if len(self.after) <= FEW:
            number = (values > self.after[0]).astype(np.intp)
            for edge in self.after[1:]:
                number += values > edge
        else:
            number = np.searchsorted(self.after, values)
        return self.slope.take(number), self.start.take(number), self.add.take(number)


def lines_of(bound: Bound) -> Lines:
    """The segments that a value of the layer can fall into."""
    starts, multipliers, shifts, adds = (
        bound.constant(f"segment_{role}").astype(np.int64) for role in ("start", "multiplier", "shift", "add")
    )
    reach = of_values(bound)
    first, last = (int(np.searchsorted(starts[1:], end)) for end in (reach.low.min(), reach.high.max()))
    numbers = [i for i in range(first, last + 1) if i == last or starts[i + 1] > starts[i]]
    slope = np.ldexp(multipliers.astype(np.float64), -shifts)[numbers]
    own = starts[numbers].astype(np.float64)
    return Lines(own[1:], slope, -own * slope, adds[numbers].astype(np.float64))
