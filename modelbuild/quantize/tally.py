"""One tensor's histograms while samples are added."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Shape
from modelbuild.quantize.extremes import Extremes
from modelbuild.quantize.histogram import (
    BINS,
    CHANNEL_BINS,
    ChannelHistograms,
    Histogram,
    channel_places,
    totals,
    weigh,
)
from modelbuild.quantize.looking import places_in
from modelbuild.quantize.observations import TensorObservation

_MOST_CHANNELS = 8192  # with histograms of their own


@dataclass
class Tally:
    """Counts of the values that are looked at; zeros have the last place."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    scale: float  # values of the tensor for each that is looked at
    channel_of: NDArray[np.int64]
    split: bool  # whether channels have histograms
    weighed: int  # samples with gradients
    counts: NDArray[np.int64]
    weights: NDArray[np.float64]
    channel_weight: NDArray[np.float64]
    channel_counts: NDArray[np.float32]
    channel_weights: NDArray[np.float32]

    @classmethod
    def of(cls, shape: Shape, extremes: Extremes) -> Tally:
        """An empty one for a tensor of `shape`."""
        places, channels = places_in(shape), len(extremes.low)
        split = len(shape) > 2 and channels <= _MOST_CHANNELS
        cells = channels * CHANNEL_BINS if split else 0
        return cls(
            extremes.low,
            extremes.high,
            math.prod(shape) / places.count,
            places.channels(shape),
            split,
            0,
            np.zeros(BINS + 1, np.int64),
            np.zeros(BINS + 1),
            np.zeros(channels),
            np.zeros(cells, np.float32),
            np.zeros(cells, np.float32),
        )

    def add(self, values: NDArray[Any], slopes: NDArray[Any] | None) -> None:
        """One more sample; gradients that are not finite do not count."""
        squares = None
        if slopes is not None and np.isfinite(slopes).all():
            squares = np.square(slopes, dtype=np.float64)
        counts, weights = weigh(values, squares, float(self.low.min()), float(self.high.max()))
        self.counts += counts
        if squares is not None and weights is not None:
            self.weighed += 1
            self.weights += weights
            self.channel_weight += totals(self.channel_of, squares, len(self.low))
        if self.split:
            some = np.flatnonzero(values)
            places = channel_places(values[some], self.channel_of[some], self.low, self.high)
            np.add.at(self.channel_counts, places, np.float32(1))
            if squares is not None:
                np.add.at(self.channel_weights, places, squares[some].astype(np.float32))

    def observation(self, extremes: Extremes, factor: float, samples: int) -> TensorObservation:
        """What was observed, scaled to the whole tensor; squared gradients also by `factor`.

        No weights where one of the `samples` with gradients had none here.
        """
        has_weights = self.weighed == samples
        factor *= self.scale
        counts, weights = np.rint(self.counts * self.scale).astype(np.int64), self.weights * factor
        histogram = Histogram(
            *extremes.range,
            counts[:BINS],
            int(counts[BINS]),
            weights[:BINS] if has_weights else None,
            float(weights[BINS]) if has_weights else 0.0,
        )
        return TensorObservation(
            histogram,
            extremes.count,
            extremes.low,
            extremes.high,
            extremes.total,
            extremes.square,
            self._channels(factor if has_weights else None) if self.split else None,
            self.channel_weight * factor if has_weights else None,
        )

    def _channels(self, factor: float | None) -> ChannelHistograms:
        """In place: these arrays are the largest of all."""
        self.channel_counts *= np.float32(self.scale)
        counts = self.channel_counts.reshape(-1, CHANNEL_BINS)
        if factor is None:
            return ChannelHistograms(counts, None)
        self.channel_weights *= np.float32(factor)
        return ChannelHistograms(counts, self.channel_weights.reshape(-1, CHANNEL_BINS))
