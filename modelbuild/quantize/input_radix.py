"""The radix of a model's input, from arrays that could be fed to it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike


def input_radix(arrays: Iterable[ArrayLike], bits: int = 8) -> int:
    """The largest r of which every value · 2^r rounds to a code of `bits` bits, as Kneron's `ktc.get_radix`.

    r is 8 for pixels / 256 - 0.5, and 7 for pixels / 128 - 1 and pixels / 256. Raises ValueError naming the
    range of values that no r of 0 or more holds, that are not finite, or that are all 0 and tell none.
    """
    low, high = 0.0, 0.0
    for number, array in enumerate(arrays, 1):
        values = np.asarray(array, np.float64)
        if not np.isfinite(values).all():
            raise ValueError(f"array {number} holds NaN or infinity")
        low, high = min(low, float(values.min(initial=0.0))), max(high, float(values.max(initial=0.0)))
    half = 1 << (bits - 1)
    if low == high:
        raise ValueError("the values are all 0, or there are none: they tell no radix")
    if low < -half - 0.5 or high > half - 0.5:
        raise ValueError(
            f"values from {low:g} to {high:g} are out of range: {bits} bits hold {-half} to {half - 1}"
        )
    # half a step beyond the last code still counts as the last code
    most = max(low / (-half - 0.5), high / (half - 0.5))
    return int(np.floor(-np.log2(most)))
