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

    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        width = (self.high - self.low) / len(self.counts)
        return np.asarray(self.low + (np.arange(len(self.counts)) + 0.5) * width, np.float64)

    def values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(values, weights): the centres of the bins that are not empty, 0 for the zeros, and each end once
        where its bin is empty: of large tensors not every value is counted, but the ends are known."""
        filled = np.flatnonzero(self.counts)
        ends = self._uncounted()
        zeros = [float(self.zeros)] if self.zeros else []
        values = np.concatenate([self.centres()[filled], ends, [0.0] * len(zeros)])
        return values, np.concatenate([self.counts[filled], [1.0] * len(ends), zeros])

    def _uncounted(self) -> list[float]:
        """The ends that no bin holds."""
        ends = zip((self.low, self.high), self.counts[[0, -1]], strict=True)
        return [end for end, count in ends if end and not count and self.low < self.high]


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
    places = bin_indices(values.reshape(-1), low, high)
    places[values.reshape(-1) == 0] = BINS
    counts = np.bincount(places, minlength=BINS + 1).astype(np.int64)
    return counts[:BINS], int(counts[BINS])


def totals(places: NDArray[np.int64], squares: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The sum of the squares at each of `count` places."""
    found = np.bincount(places.reshape(-1), squares.reshape(-1), count)
    return found.astype(np.float64, copy=False)


def channel_bins(
    values: NDArray[Any], channels: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The bin of each value [..., count] between the ends of its channel [count]."""
    width = high - low
    factor = np.divide(CHANNEL_BINS, width, out=np.zeros_like(width), where=width > 0)
    scaled = values - low[channels]
    scaled *= factor[channels]
    return np.asarray(np.clip(scaled, 0, CHANNEL_BINS - 1, out=scaled).astype(np.int64))
