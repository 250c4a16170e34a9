"""What one tensor held over all calibration samples."""

from __future__ import annotations

from dataclasses import dataclass

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
