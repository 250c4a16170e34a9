"""Sums of floats that come out the same with any numpy, CPU or layout: one addition after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 20  # numbers whose running sums are held


def sum_in_order(values: NDArray[Any]) -> NDArray[np.float64]:
    """Over the last axis [..., K], from the first to the last."""
    if values.shape[-1] == 1:
        return values[..., 0].astype(np.float64)
    found = np.zeros(math.prod(values.shape[:-1]))
    if values.size:
        rows = values.reshape(len(found), -1)
        step = max(_AT_ONCE // values.shape[-1], 1)
        for start in range(0, len(rows), step):
            running = np.add.accumulate(rows[start : start + step], axis=1, dtype=np.float64)
            found[start : start + step] = running[:, -1]
    return found.reshape(values.shape[:-1])


def mean_in_order(values: NDArray[Any]) -> NDArray[np.float64]:
    """Over the first axis [n, ...], from the first to the last."""
    total = np.zeros(values.shape[1:])
    for row in values:
        total += row
    return np.asarray(total / len(values))
