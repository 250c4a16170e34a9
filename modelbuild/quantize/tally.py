"""One tensor's histograms while samples are added."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
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
    bin_indices,
    channel_bins,
    totals,
)
from modelbuild.quantize.looking import places_in
from modelbuild.quantize.observations import TensorObservation

_MOST_CHANNELS = 8192  # with histograms of their own


@dataclass
class Gradients:
    """Squared gradients of the values that are looked at, by channel."""

    scale: float  # values of the tensor for each that is looked at
    channel_of: NDArray[np.int64]
    by_channel: NDArray[np.float64]
    weighed: int = 0  # samples with gradients

    @classmethod
    def of(cls, shape: Shape) -> Gradients:
        """None yet, for a tensor of `shape`; channels are axis 1, and one for tensors of fewer axes."""
        places, channels = places_in(shape), shape[1] if len(shape) > 1 else 1
        return cls(math.prod(shape) / places.count, places.channels(shape), np.zeros(channels))

    def add(self, slopes: NDArray[Any]) -> NDArray[np.float64] | None:
        """More samples, a row each: the squares. None where gradients are not finite, which do not count."""
        if not np.isfinite(slopes).all():
            return None
        squares: NDArray[np.float64] = np.square(slopes, dtype=np.float64)
        self.weighed += len(slopes)
        self.by_channel += totals(self.channel_of, squares.sum(axis=0), len(self.by_channel))
        return squares

    def weight(self, factor: float, samples: int) -> NDArray[np.float64] | None:
        """By channel, of the whole tensor, times `factor`; None where one of the `samples` with gradients had
        none here."""
        if self.weighed != samples:
            return None
        return np.asarray(self.by_channel * (factor * self.scale), np.float64)


@dataclass
class Moments:
    """Sums over the values that are looked at, by channel, of x - c and (x - c)^2. The middle c of the
    channel's range keeps what is lost to a mean far larger than what the values differ by."""

    extremes: Extremes
    seen: NDArray[np.float64]
    total: NDArray[np.float64]
    square: NDArray[np.float64]

    @classmethod
    def of(cls, extremes: Extremes) -> Moments:
        """None yet."""
        return cls(extremes, *np.zeros((3, len(extremes.low))))

    def add(self, values: NDArray[Any], channel_of: NDArray[np.int64]) -> None:
        """More samples, a row each."""
        channels = len(self.seen)
        rest = values - self._middle[channel_of]
        self.seen += len(values) * np.bincount(channel_of, minlength=channels)
        self.total += totals(channel_of, rest.sum(axis=0), channels)
        np.square(rest, out=rest)
        self.square += totals(channel_of, rest.sum(axis=0), channels)

    def variance(self) -> NDArray[np.float64]:
        """By channel; of one none of whose values are looked at, as if they lay anywhere in its range."""
        seen = np.maximum(self.seen, 1.0)
        found = np.maximum(self.square / seen - np.square(self.total / seen), 0.0)
        anywhere = np.square(self.extremes.high - self.extremes.low) / 12
        return np.asarray(np.where(self.seen > 0, found, anywhere))

    @property
    def _middle(self) -> NDArray[np.float64]:
        return self.extremes.low / 2 + self.extremes.high / 2


def _fits(weights: NDArray[np.float32], factor: float) -> bool:
    """Whether float32 holds the products."""
    return float(weights.max(initial=0.0)) * factor <= float(np.finfo(np.float32).max)


@dataclass
class Tally:
    """Counts of the values that are looked at; zeros have the last place."""

    extremes: Extremes
    gradients: Gradients
    split: bool  # whether channels have histograms
    moments: Moments
    channel_counts: NDArray[np.float32]
    channel_weights: NDArray[np.float32]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS + 1, np.int64))
    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS + 1))

    @classmethod
    def of(cls, shape: Shape, extremes: Extremes) -> Tally:
        """An empty one for a tensor of `shape`."""
        channels = len(extremes.low)
        split = len(shape) > 2 and channels <= _MOST_CHANNELS
        cells = np.zeros((2, channels * CHANNEL_BINS if split else 0), np.float32)
        return cls(extremes, Gradients.of(shape), split, Moments.of(extremes), *cells)

    def add(self, values: NDArray[Any], slopes: NDArray[Any] | None) -> None:
        """More samples, a row each."""
        squares = None if slopes is None else self.gradients.add(slopes)
        channel_of, zeros = self.gradients.channel_of, values == 0
        self.moments.add(values, channel_of)
        places = bin_indices(values, *self.extremes.range)
        np.putmask(places, zeros, BINS)  # a third of the time of an assignment
        self.counts += np.bincount(places.reshape(-1), minlength=BINS + 1)
        if squares is not None:
            self.weights += totals(places, squares, BINS + 1)
        if not self.split:
            return
        cells = len(self.channel_counts)
        places = channel_bins(values, channel_of, self.extremes.low, self.extremes.high)
        places += channel_of * CHANNEL_BINS
        np.putmask(places, zeros, cells)
        counts = np.bincount(places.reshape(-1), minlength=cells + 1)[:cells]
        self.channel_counts += counts.astype(np.float32)
        if squares is not None:
            with np.errstate(over="ignore"):  # infinity is seen later, by `_fits`
                self.channel_weights += totals(places, squares, cells + 1)[:cells].astype(np.float32)

    def observation(
        self, factor: float, weighed: int, samples: int, sample_ranges: NDArray[np.float64]
    ) -> TensorObservation:
        """What was observed, scaled to the whole tensor; squared gradients also by `factor`.

        No weights where one of the `weighed` samples, those with gradients, had none here.
        """
        extremes, scale = self.extremes, self.gradients.scale
        channel_weight = self.gradients.weight(factor, weighed)
        if not _fits(self.channel_weights, factor * scale):
            channel_weight = None
        has_weights = channel_weight is not None
        counts, weights = np.rint(self.counts * scale).astype(np.int64), self.weights * (factor * scale)
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
            self.moments.variance(),
            self._channels(factor * scale if has_weights else None) if self.split else None,
            channel_weight,
            sample_ranges,
            samples,
        )

    def _channels(self, factor: float | None) -> ChannelHistograms:
        """In place: these arrays are the largest of all."""
        self.channel_counts *= np.float32(self.gradients.scale)
        counts = self.channel_counts.reshape(-1, CHANNEL_BINS)
        if factor is None:
            return ChannelHistograms(counts, None)
        self.channel_weights *= np.float32(factor)
        return ChannelHistograms(counts, self.channel_weights.reshape(-1, CHANNEL_BINS))
