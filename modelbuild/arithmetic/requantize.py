"""Accumulators -> the output's integers: multiply, add half, shift, add the zero point, saturate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.fixed_model import Integers

# Accumulators are worked on in pieces of about this many elements, so that an int64 piece stays in the cache.
PIECE = 1 << 15
Wide = NDArray[np.int64]


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


class RowRequantizer:
    """Requantizes accumulators [O, P] by a multiplier, shift and bias a row, exactly, piece by piece."""

    def __init__(self, bound: Bound) -> None:
        self.multiplier = bound.constant("multiplier").astype(np.int64)[:, None]
        self.shift = bound.constant("shift").astype(np.int64)[:, None]
        bias = bound.constant("bias").astype(np.int64)[:, None]
        # (acc + bias)·M + r = acc·M + (bias·M + r); both terms and their sum stay below 2^63 by the proof
        self.offset = bias * self.multiplier + half(self.shift)
        self.zero = bound.number("output_zero")
        self.low = bound.number("low") - self.zero
        self.high = bound.number("high") - self.zero

    def __call__(self, accumulator: NDArray[Any], out: Integers) -> None:
        """`accumulator` holds whole numbers in any type; `out` [O, P] is written."""
        rows = max(1, PIECE // max(1, accumulator.shape[1]))
        for start in range(0, accumulator.shape[0], rows):
            span = slice(start, start + rows)
            piece = accumulator[span].astype(np.int64)
            piece *= self.multiplier[span]
            piece += self.offset[span]
            piece >>= self.shift[span]
            np.clip(piece, self.low, self.high, out=piece)
            piece += self.zero
            out[span] = piece
