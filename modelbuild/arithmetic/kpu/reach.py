"""How far the sums of a KPU layer reach, channel by channel: the proof that its 36 bits hold them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.operator_shapes import Misfit, need

BITS = 36  # of a sum, and of what batch normalization leaves, with sign
LOW, HIGH = -(1 << BITS - 1), (1 << BITS - 1) - 1
_MOST = 255  # of a byte


class Reach(NamedTuple):
    """The least and the largest value of each output channel [O]."""

    low: Integers
    high: Integers


def of_sums(bound: Bound) -> Reach:
    """Of the sums of bytes times weights, with the corrections, for any bytes."""
    rows = bound.constant("weight").astype(np.int64).reshape(len(bound.constant("weight")), -1)
    arg_x, shift_x = bound.number("arg_x"), bound.number("shift_x")
    fixed = fixed_part(bound)
    if shift_x:
        end = _MOST * rows.shape[1] * arg_x >> shift_x
        return Reach(fixed + min(end, 0), fixed + _MOST * rows.sum(axis=1) + max(end, 0))
    factors = rows + arg_x
    low, high = (_MOST * limit(factors, 0).sum(axis=1) for limit in (np.minimum, np.maximum))
    return Reach(fixed + low, fixed + high)


def fixed_part(bound: Bound) -> Integers:
    """What a sum of each channel holds whatever the bytes are [O]."""
    weight = bound.constant("weight")
    sums = weight.reshape(len(weight), -1).sum(axis=1, dtype=np.int64)
    total = bound.number("arg_w") * sums >> bound.number("shift_w")
    return np.asarray(total + bound.number("arg_add") * weight.shape[1])


def of_values(bound: Bound) -> Reach:
    """Of the values that the segments see."""
    multiplier, shift, add = (
        bound.constant(role).astype(np.int64) for role in ("bn_multiplier", "bn_shift", "bn_add")
    )
    ends = [(end * multiplier >> shift) + add for end in of_sums(bound)]
    return Reach(np.minimum(*ends), np.maximum(*ends))


def check_reach(bound: Bound) -> None:
    """Raises `Misfit` naming the channel whose sums or values 36 bits do not hold, or whose values lie below
    all segments."""
    _check(of_sums(bound), "sum")
    values = of_values(bound)
    _check(values, "value after batch normalization")
    first, least = int(bound.constant("segment_start")[0]), int(values.low.min())
    need(least > first, f"a value may be {least}, and the first segment begins above {first}")


def _check(reach: Reach, what: str) -> None:
    for end in reach:
        beyond = np.flatnonzero((end < LOW) | (end > HIGH))
        if len(beyond):
            channel = int(beyond[0])
            reached = f"the {what} of channel {channel} may reach {int(end[channel])}"
            raise Misfit(f"{reached}, which {BITS} bits do not hold")
