"""Accumulators -> the output's integers: multiply, add half, shift, add the zero point, saturate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.fixed_model import Integers

PIECE = 1 << 16  # accumulators worked on at a time, so that they stay in the cache as float64
DOUBLE = 1 << 53  # whole numbers up to this are exact in float64
Wide = NDArray[np.int64]
Reals = NDArray[np.float64]
Part = tuple[slice, slice]  # rows and lines of accumulators [R, H, W]
WHOLE: Part = (slice(None), slice(None))


def half(shift: Wide) -> Wide:
    """2^(s-1), or 0 for s = 0."""
    return np.where(shift > 0, np.left_shift(np.int64(1), np.maximum(shift - 1, 0)), 0)


def rescaled(accumulator: Wide, multiplier: int, shift: int, bound: Bound) -> Integers:
    """The whole accumulator by one multiplier, to the output of `bound`; the accumulator is overwritten."""
    accumulator *= multiplier
    accumulator += (1 << (shift - 1)) if shift > 0 else 0
    accumulator >>= shift
    return saturated(accumulator, bound)


def saturated(values: Wide, bound: Bound) -> Integers:
    """Add `output_zero`, clamp to `low` and `high`, and take the output's type; `values` is overwritten."""
    values += bound.number("output_zero")
    np.clip(values, bound.number("low"), bound.number("high"), out=values)
    return values.astype(bound.output.dtype)


@dataclass(frozen=True)
class Scaling:
    """The factors of accumulators [R, H, W]: int64, each of a shape that broadcasts to theirs, dimension 0
    being R or 1. `bias` is added to an accumulator first; `largest` bounds |accumulator| before that."""

    multiplier: Wide
    shift: Wide
    bias: Wide
    largest: int


class Requantizer:
    """y = saturate(((acc + bias)·M + r >> s) + zy), in float64 where it is proven exact, else in int64.

    With C = bias·M + r + (zy − low)·2^s, u = floor((acc·M + C) / 2^s) and top = high − low, the answer is
    low + min(max(u, 0), top). In float64, M·2^−s and C·2^−s are exact; acc·M·2^−s and the sum are as long as
    |acc·M| and |acc·M + C| reach at most 2^53. That is proven where |C| + L ≤ 2^53 with L one of two bounds:

    * largest·|M|: then every accumulator is exact;
    * (top + 1)·2^s: then every accumulator with 0 ≤ acc·M + C ≤ (top + 1)·2^s is exact, and the others are
      saturated on the same side, since rounding to nearest never turns an order round.
    """

    def __init__(self, bound: Bound, scaling: Scaling) -> None:
        self.zero, self.low = bound.number("output_zero"), bound.number("low")
        self.top = bound.number("high") - self.low
        # whole numbers of any size; wrapped around to 64 bits they are still right modulo 2^64, as is the sum
        exact_multiplier, exact_bias, exact_shift = (
            np.asarray(values, dtype=object) for values in (scaling.multiplier, scaling.bias, scaling.shift)
        )
        unit = np.asarray(2**exact_shift, dtype=object)
        offset = exact_bias * exact_multiplier + unit // 2 + (self.zero - self.low) * unit
        reach = np.minimum((self.top + 1) * unit, scaling.largest * abs(exact_multiplier))
        proven = np.asarray(abs(offset) + reach <= DOUBLE, np.bool_)
        self.unproven: NDArray[np.bool_] = ~np.all(proven, axis=(1, 2))  # by row
        self.constants = [np.asarray(values / unit, np.float64) for values in (scaling.multiplier, offset)]
        self.whole = (
            scaling.multiplier,
            scaling.shift,
            scaling.bias * scaling.multiplier + half(scaling.shift),
        )

    def __call__(self, accumulator: NDArray[Any], out: Integers, part: Part = WHOLE) -> None:
        """`accumulator` [R, H, W'] holds whole numbers in any type, those of the rows and lines `part`; `out`
        [R, H, W] is written, W ≤ W': what lies behind column W is left out."""
        rows = max(1, PIECE // max(1, accumulator[0].size))
        for start in range(0, len(accumulator), rows):
            piece = slice(start, start + rows), slice(None)
            constants = [_part(_part(values, part), piece) for values in self.constants]
            self._in_doubles(accumulator[piece], out[piece], *constants)
        if self.unproven.any():
            self._in_integers(accumulator, out, part)

    def _in_doubles(self, accumulator: NDArray[Any], out: Integers, factor: Reals, offset: Reals) -> None:
        values = np.multiply(accumulator, factor, dtype=np.float64)
        values += offset
        np.clip(values, 0.0, float(self.top), out=values)
        unsigned = out.view(f"u{out.dtype.itemsize}")
        np.copyto(unsigned, values[..., : out.shape[-1]], casting="unsafe")
        if self.low:
            unsigned += unsigned.dtype.type(self.low % (1 << 8 * out.dtype.itemsize))

    def _in_integers(self, accumulator: NDArray[Any], out: Integers, part: Part) -> None:
        """Again the rows that float64 is not proven for."""
        rows = np.flatnonzero(np.broadcast_to(_part(self.unproven, part), len(accumulator)))
        multiplier, shift, offset = (
            values if len(values) == 1 else values[rows]
            for values in (_part(values, part) for values in self.whole)
        )
        values = accumulator[rows, :, : out.shape[-1]].astype(np.int64)
        values *= multiplier
        values += offset
        values >>= shift
        np.clip(values, self.low - self.zero, self.low - self.zero + self.top, out=values)
        values += self.zero
        out[rows] = values


def _part(values: NDArray[Any], part: Part) -> NDArray[Any]:
    """The rows and lines of `part`, along the axes that are not there for all."""
    return values[
        tuple(span if size > 1 else slice(None) for span, size in zip(part, values.shape, strict=False))
    ]


def row_scaling(bound: Bound, bias: Wide, largest: int) -> Scaling:
    """The constants `multiplier` and `shift` [O] of an operator: one an output channel."""
    multiplier, shift = (
        bound.constant(role).astype(np.int64)[:, None, None] for role in ("multiplier", "shift")
    )
    return Scaling(multiplier, shift, bias.astype(np.int64)[:, None, None], largest)


def one_scaling(multiplier: int, shift: int, bias: int, largest: int) -> Scaling:
    """The same factors for all accumulators."""
    factor, places, start = (np.full((1, 1, 1), value, np.int64) for value in (multiplier, shift, bias))
    return Scaling(factor, places, start, largest)
