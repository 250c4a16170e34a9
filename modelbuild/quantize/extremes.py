"""The smallest and largest values and the sums of a tensor's channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.finite import require_finite

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Extremes:
    """One tensor's channels (axis 1; one channel for tensors of fewer axes), and how many values it has."""

    count: int
    low: Numbers
    high: Numbers
    total: Numbers

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return float(self.low.min()), float(self.high.max())


def centred(values: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Without the mean along `axis`, which a Softmax does not see; as they are where there is none."""
    return values if axis is None else values - values.mean(axis=axis, keepdims=True, dtype=np.float64)


def extremes_of(name: str, values: NDArray[Any], label: str) -> Extremes:
    """Of one tensor in one sample. Raises (exit 1) for NaN and infinity, naming tensor and sample."""
    axes = values.ndim > 1
    rows = values.reshape(values.shape[0] if axes else 1, values.shape[1] if axes else 1, -1)
    low = rows.min(axis=2).min(axis=0).astype(np.float64)
    high = rows.max(axis=2).max(axis=0).astype(np.float64)
    require_finite(name, np.concatenate((low, high)), label)
    total = rows.astype(np.float64).sum(axis=2).sum(axis=0)
    return Extremes(values.size, low, high, total)
