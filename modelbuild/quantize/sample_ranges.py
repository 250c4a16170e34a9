"""The extremes of every sample by itself, in an amount of memory that no number of samples changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 128  # rows that are kept; a power of two


class SampleRanges:
    """A row a sample; of more than `MOST` each two neighbours become their mean, and a row stands for two
    samples, then four, and so on."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.float64]] = []  # [tensors, 2] each
        self._each = 1  # samples that a row stands for
        self._begun: list[NDArray[np.float64]] = []  # the samples of the next row

    def add(self, ranges: NDArray[np.float64]) -> None:
        """One more sample, (smallest, largest) of the same tensors as of the others: [tensors, 2]."""
        if len(self._rows) == MOST:
            self._rows = [_mean(self._rows[row : row + 2]) for row in range(0, MOST, 2)]
            self._each *= 2
        self._begun.append(ranges)
        if len(self._begun) == self._each:
            self._rows.append(_mean(self._begun))
            self._begun = []

    def found(self) -> NDArray[np.float64]:
        """Of each tensor (smallest, largest) of each row, in the order of the samples, [tensors, rows, 2]."""
        return np.stack([*self._rows, *([_mean(self._begun)] if self._begun else [])], axis=1)


def samples_of_rows(samples: int, rows: int) -> NDArray[np.int64]:
    """How many of so many samples each row stands for. Raises ValueError where there is no such number."""
    each = 1
    while each * MOST < samples:
        each *= 2
    if rows != -(-samples // each):
        raise ValueError(f"{rows} rows of {samples} samples")
    found = np.full(rows, each, np.int64)
    found[-1] = samples - each * (rows - 1)
    return found


def _mean(rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.asarray(sum(row / len(rows) for row in rows), np.float64)
