"""Numbers that operators on floats have as constants, within what float32 holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = float(np.finfo(np.float32).max)


def number(value: float) -> NDArray[np.float32]:
    """A constant of no axes, within what float32 holds."""
    return np.array(min(max(value, -LARGEST), LARGEST), np.float32)


def line(factor: float, offset: float) -> dict[str, NDArray[Any]]:
    """`factor` and `offset` of a conversion."""
    return {"factor": number(factor), "offset": number(offset)}


def limits(low: float = -LARGEST, high: float = LARGEST) -> dict[str, NDArray[Any]]:
    """`low` and `high` of an operator on floats."""
    return {"low": number(low), "high": number(high)}
