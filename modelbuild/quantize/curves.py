"""Functions of 16 bits as parabolas in equal segments, in decimal arithmetic of 40 digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.arithmetic.operator_shapes import CURVE_SHIFT, SEGMENT_BITS
from modelbuild.quantize.tables import DIGITS, Function, rounded

FINEST_BITS = 6  # segments of 64 steps: 1,024 of them, 12 KiB
NEAR_ENOUGH = Decimal("0.0625")  # steps of the output
CHECKED = 128  # steps of the input between the places where that is looked at, at most
_FARTHEST = Decimal(1 << 16)  # steps of the output: twice as far as 16 signed bits reach
_ONE = Decimal(1 << CURVE_SHIFT)

Steps = Callable[[int], Decimal]  # an input's distance from its zero point -> the output's, not rounded


@dataclass(frozen=True)
class Curve:
    """Segment i begins at the input's integer `start` + i 2^`bits`. In it, with u from 0 to 1, the output is
    (value + slope u + bend u^2) / 2^12 above its zero point. Arrays int32 [segments]."""

    start: int
    bits: int
    value: NDArray[np.int32]
    slope: NDArray[np.int32]
    bend: NDArray[np.int32]


def curve(function: Function, x: QuantizedTensor, y: QuantizedTensor) -> Curve:
    """The parabolas through both ends and the middle of as few segments as come within 1/16 of a step of y,
    looked at in the quarters of each segment and every 128 steps; 1,024 segments where that is not enough.

    A segment begins at the zero point, so that a kink there (LeakyRelu, Elu) costs nothing.
    """
    with localcontext(Context(prec=DIGITS)):
        steps = _steps_of(function, x, y)
        bits = SEGMENT_BITS[1]
        while bits > FINEST_BITS and not _near(steps, x, y, bits):
            bits -= 1
        return _made(steps, x, bits)


def _steps_of(function: Function, x: QuantizedTensor, y: QuantizedTensor) -> Steps:
    known: dict[int, Decimal] = {}
    scale_x, scale_y = Decimal(x.scale), Decimal(y.scale)

    def steps(distance: int) -> Decimal:
        if distance not in known:
            found = function(scale_x * distance) / scale_y
            known[distance] = min(max(found, -_FARTHEST), _FARTHEST)
        return known[distance]

    return steps


def _starts(x: QuantizedTensor, bits: int) -> range:
    """Of the segments, as distances from the zero point."""
    size = 1 << bits
    first = (x.low - x.zero_point) // size * size
    return range(first, x.high - x.zero_point + 1, size)


def _parabola(steps: Steps, start: int, size: int) -> tuple[Decimal, Decimal, Decimal]:
    first, middle, last = (steps(start + part * size // 2) for part in range(3))
    return first, 4 * middle - 3 * first - last, 2 * (first + last) - 4 * middle


def _near(steps: Steps, x: QuantizedTensor, y: QuantizedTensor, bits: int) -> bool:
    size = 1 << bits
    low, high = Decimal(y.low - y.zero_point), Decimal(y.high - y.zero_point)
    apart = min(size // 4, CHECKED)
    shares = [(offset, Decimal(offset) / size) for offset in range(apart, size, apart)]
    for start in _starts(x, bits):
        value, slope, bend = _parabola(steps, start, size)
        for offset, u in shares:
            found, exact = value + (slope + bend * u) * u, steps(start + offset)
            if abs(min(max(found, low), high) - min(max(exact, low), high)) > NEAR_ENOUGH:
                return False
    return True


def _made(steps: Steps, x: QuantizedTensor, bits: int) -> Curve:
    starts = _starts(x, bits)
    rows = [[rounded(part * _ONE) for part in _parabola(steps, start, 1 << bits)] for start in starts]
    value, slope, bend = np.array(rows, np.int64).T.astype(np.int32)
    return Curve(starts[0] + x.zero_point, bits, value, slope, bend)
