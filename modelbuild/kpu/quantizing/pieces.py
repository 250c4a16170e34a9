"""Straight pieces as an activation table holds them, and the integers of their slopes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

MOST_FACTOR = (1 << 15) - 1
MOST_SHIFT = 43
LOWEST, HIGHEST = -(1 << 35), (1 << 35) - 1  # starts
PIECES = 16


class Piece(NamedTuple):
    """output = (value - start) * slope + add, for values above `start`."""

    start: float
    slope: float
    add: int


def fixed(slope: float) -> tuple[int, int]:
    """factor, shift: slope = factor / 2^shift, as near as 16 bits and a shift of at most 43 come."""
    shift = int(np.clip(15 - np.frexp(slope)[1], 0, MOST_SHIFT))
    if abs(np.rint(np.ldexp(slope, shift))) > MOST_FACTOR and shift > 0:
        shift -= 1
    return int(np.clip(np.rint(np.ldexp(slope, shift)), -MOST_FACTOR, MOST_FACTOR)), shift


def held(slope: float) -> float:
    """The slope that the table has for it."""
    factor, shift = fixed(slope)
    return float(np.ldexp(float(factor), -shift))
