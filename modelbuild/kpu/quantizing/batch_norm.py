"""Batch normalization of a KPU layer: sums of integers, a channel's scale each, to values of one scale.

The activation table is one a layer, so that what differs between channels has to be gone before it: channels
whose functions differ by more than the factor and the offset of their sums cannot share a layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError

Real = NDArray[np.float64]
Wide = NDArray[np.int64]

FACTOR, OFFSET, VALUE = (1 << 23) - 1, (1 << 31) - 1, (1 << 35) - 1  # the largest of each
MOST_SHIFT = 15
FINEST, COARSEST = 20, -14  # steps of a value to a step of the output, as a power of two


@dataclass(frozen=True)
class BatchNorm:
    """value = (sum * multiplier >> shift) + add of each output channel [O]; a step of a value is `v_scale` in
    real units, and it lies within `low` and `high` for any sum that can occur.

    `v_scale` is that of the output times a power of two, so that straight tables need no rounded slope; it is
    negative where values fall while sums rise."""

    multiplier: NDArray[np.int32]
    add: NDArray[np.int32]
    shift: NDArray[np.uint8]
    v_scale: float
    low: int
    high: int

    def constants(self) -> dict[str, NDArray[np.integer]]:
        """As `kpu_conv` names them."""
        return {"bn_multiplier": self.multiplier, "bn_add": self.add, "bn_shift": self.shift}


def batch_norm(
    sums: tuple[Wide, Wide], factors: Real, bias: Real, output_scale: float, falling: bool = False
) -> BatchNorm:
    """real = sum * factors[o] + bias[o], as fine as 36 bits of value, 24 of factor and 32 of offset allow.

    `sums`: least and largest of each channel (`sum_bounds`); `factors`: the input's scale times the weights';
    `bias` in real units. `falling` turns the sign, for tables that fall: the KPU rounds those badly.
    Errors: ModelbuildError naming the channel, and what of it does not fit.
    """
    sign = -1.0 if falling else 1.0
    ratios, offsets = sign * factors / output_scale, sign * bias / output_scale
    if not (np.isfinite(ratios).all() and np.isfinite(offsets).all()):
        raise ModelbuildError(
            "a scale or a bias of a KPU layer is no finite number",
            advice="look at the weights, biases and batch normalization of the source model",
        )
    problem = None
    for power in range(FINEST, COARSEST - 1, -1):
        made = _made(sums, np.ldexp(ratios, power), np.ldexp(offsets, power))
        if not isinstance(made, _Unfit):
            multiplier, add, shift, low, high = made
            return BatchNorm(
                multiplier.astype(np.int32),
                add.astype(np.int32),
                shift.astype(np.uint8),
                math.ldexp(sign * output_scale, -power),
                low,
                high,
            )
        problem = made
    assert problem is not None
    raise ModelbuildError(
        f"output channel {problem.channel} of a KPU layer leaves its number formats",
        why=f"in steps of {2.0**-COARSEST:g} of the output's, its {problem.what} is {problem.size:.4g}; "
        f"the KPU holds {problem.most}",
        advice="its weights or bias are very large beside the range of its output: widen that range",
    )


@dataclass(frozen=True)
class _Unfit:
    channel: int
    what: str
    size: float
    most: int


def _made(
    sums: tuple[Wide, Wide], factors: Real, offsets: Real
) -> tuple[Wide, Wide, Wide, int, int] | _Unfit:
    """multiplier, add, shift, the least and the largest value; or the first thing that does not fit."""
    for what, found, most in (("factor", factors, FACTOR), ("bias", offsets, OFFSET)):
        beyond = np.flatnonzero(np.abs(found) > most)
        if len(beyond):
            return _Unfit(int(beyond[0]), what, float(found[beyond[0]]), most)
    # |factor| < 2^exponent: of 23 bits, 23 - exponent may lie behind the point.
    shift = np.clip(23 - np.frexp(factors)[1].astype(np.int64), 0, MOST_SHIFT)
    multiplier = np.rint(np.ldexp(factors, shift)).astype(np.int64)
    full = np.abs(multiplier) > FACTOR  # rounded up to 2^23
    shift -= full & (shift > 0)
    multiplier = np.minimum(np.rint(np.ldexp(factors, shift)).astype(np.int64), FACTOR)
    add = np.rint(offsets).astype(np.int64)
    ends = [(end * multiplier >> shift) + add for end in sums]
    low, high = np.minimum(*ends), np.maximum(*ends)
    beyond = np.flatnonzero((low < -VALUE) | (high > VALUE))
    if len(beyond):
        channel = int(beyond[0])
        return _Unfit(channel, "largest value", float(max(-low[channel], high[channel])), VALUE)
    return multiplier, add, shift, int(low.min()), int(high.max())
