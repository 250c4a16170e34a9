"""What one tensor held over all calibration samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 4096
CHANNEL_BINS = 128


@dataclass(frozen=True)
class Histogram:
    """`counts` of `BINS` equal bins over [low, high]; exact zeros are counted in `zeros` alone.

    `weights[b]` is the sum over the values x in bin b, over all samples, of (d/dx sum_k v_k y_k / |y|)^2,
    averaged over random v ~ N(0, 1), where |y|^2 is the mean over the samples of the squared norm of the
    output that y_k belongs to: sum(weights * error^2) / samples / outputs is the expected noise power at
    the model's outputs, relative to their own. `zero_weight` is that of the zeros. None where no gradient
    is known.
    """

    low: float
    high: float
    counts: NDArray[np.int64]
    zeros: int
    weights: NDArray[np.float64] | None = None
    zero_weight: float = 0.0

    def values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(values, weights): the centres of the bins that are not empty, and 0 for the zeros."""
        width = (self.high - self.low) / len(self.counts)
        filled = np.flatnonzero(self.counts)
        centres = np.asarray(self.low + (filled + 0.5) * width, np.float64)
        weights = self.counts[filled].astype(np.float64)
        if not self.zeros:
            return centres, weights
        return np.append(centres, 0.0), np.append(weights, float(self.zeros))


@dataclass(frozen=True)
class ChannelHistograms:
    """Coarse histograms, [channels, CHANNEL_BINS], each over its channel's own [channel_low, channel_high].

    Zeros are left out: their error is 0 on every grid. `weights` as in `Histogram`, None where that has none.
    """

    counts: NDArray[np.float32]
    weights: NDArray[np.float32] | None


def bin_indices(values: NDArray[Any], low: float, high: float) -> NDArray[np.int64]:
    """The bin of each value, in the values' own precision where its numbers reach."""
    if high <= low:
        return np.zeros(values.shape, dtype=np.int64)
    width, factor = high - low, BINS / (high - low)
    if max(width, factor) > float(np.finfo(values.dtype).max):  # denormal numbers, or both ends enormous
        values = values.astype(np.float64)
    scaled = (values - values.dtype.type(low)) * values.dtype.type(factor)
    return np.asarray(np.clip(scaled, 0, BINS - 1).astype(np.int64))


def count(values: NDArray[Any], low: float, high: float) -> tuple[NDArray[np.int64], int]:
    """(counts, zeros) of one sample's values."""
    flat = values.reshape(-1)
    counts = np.bincount(bin_indices(flat, low, high), minlength=BINS).astype(np.int64)
    zeros = int(flat.size - np.count_nonzero(flat))
    if zeros:
        counts[bin_indices(np.zeros(1, flat.dtype), low, high)[0]] -= zeros
    return counts, zeros
