"""The first look at a model's tensors: extremes, sums and squares of every channel, of all values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.finite import require_finite

_LARGE = 1e12  # its square times 2^31 values is below the largest float32

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Extremes:
    """One tensor's channels (axis 1; one channel for tensors of fewer axes), and how many values it has."""

    count: int
    low: Numbers
    high: Numbers
    total: Numbers
    square: Numbers

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return float(self.low.min()), float(self.high.max())

    def power(self, samples: int) -> float:
        """The mean over `samples` of the squared norm."""
        return float(self.square.sum() / samples)

    def merged(self, other: Extremes) -> Extremes:
        """Of the values of both."""
        return Extremes(
            self.count + other.count,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.total + other.total,
            self.square + other.square,
        )


def extremes_of(name: str, values: NDArray[Any], sample: str) -> Extremes:
    """Of one tensor in one sample. Raises (exit 1) for NaN and infinity, naming tensor and `sample`."""
    axes = values.ndim > 1
    rows = values.reshape(values.shape[0] if axes else 1, values.shape[1] if axes else 1, -1)
    low = rows.min(axis=2).min(axis=0).astype(np.float64)
    high = rows.max(axis=2).max(axis=0).astype(np.float64)
    require_finite(name, np.concatenate((low, high)), sample)
    if max(-low.min(), high.max()) > _LARGE:  # sums would leave float32
        rows = rows.astype(np.float64)
    total = rows.sum(axis=2).sum(axis=0, dtype=np.float64)
    square = np.einsum("ncl,ncl->nc", rows, rows).sum(axis=0, dtype=np.float64)
    return Extremes(values.size, low, high, total, square)
