"""One tensor's histograms while samples are added."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Shape
from modelbuild.quantize.counting import Bins, Channels
from modelbuild.quantize.extremes import Extremes
from modelbuild.quantize.histogram import BINS, CHANNEL_BINS, ChannelHistograms, Histogram
from modelbuild.quantize.observations import TensorObservation

_MOST_CHANNELS = 8192  # with histograms of their own


@dataclass
class Gradients:
    """Squared gradients of the values that are looked at, by channel."""

    scale: float  # values of the tensor for each that is looked at
    channels: Channels
    by_channel: NDArray[np.float64]
    weighed: int = 0  # samples with gradients

    @classmethod
    def of(cls, shape: Shape) -> Gradients:
        """None yet, for a tensor of `shape`."""
        channels = Channels.of_shape(shape)
        return cls(math.prod(shape) / len(channels.of), channels, np.zeros(channels.count))

    def add(self, slopes: NDArray[Any]) -> NDArray[np.float64] | None:
        """More samples, a row each: the squares. None where gradients are not finite, which do not count."""
        squares: NDArray[np.float64] = slopes.astype(np.float64)
        squares *= squares
        found = self.channels.totals(squares.sum(axis=0))
        if not np.isfinite(found).all():
            return None
        self.weighed += len(slopes)
        self.by_channel += found
        return squares

    def weight(self, factor: float, samples: int) -> NDArray[np.float64] | None:
        """By channel, of the whole tensor, times `factor`; None where one of the `samples` with gradients had
        none here."""
        if self.weighed != samples:
            return None
        return np.asarray(self.by_channel * (factor * self.scale), np.float64)


@dataclass
class Moments:
    """Sums of values and of their squares by channel, in bins from the channel's low end: a mean far larger
    than what the values differ by costs no digits."""

    extremes: Extremes
    total: NDArray[np.float64]
    square: NDArray[np.float64]
    samples: int = 0

    @classmethod
    def of(cls, extremes: Extremes) -> Moments:
        """None yet."""
        return cls(extremes, *np.zeros((2, len(extremes.low))))

    def add(self, scaled: NDArray[Any], channels: Channels) -> None:
        """More samples, a row each."""
        self.samples += len(scaled)
        self.total += channels.totals(scaled.sum(axis=0, dtype=np.float64))
        self.square += channels.totals(np.einsum("ij,ij->j", scaled, scaled, dtype=np.float64))

    def variance(self, channels: Channels) -> NDArray[np.float64]:
        """By channel; of one none of whose values are looked at, as if they lay anywhere in its range."""
        seen = self.samples * channels.sizes()
        least = np.maximum(seen, 1.0)
        found = np.maximum(self.square / least - np.square(self.total / least), 0.0)
        width = self.extremes.high - self.extremes.low
        return np.asarray(np.where(seen > 0, found / CHANNEL_BINS**2, 1 / 12) * np.square(width))


def _fits(weights: NDArray[np.float32], factor: float) -> bool:
    """Whether float32 holds the products."""
    return float(weights.max(initial=0.0)) * factor <= float(np.finfo(np.float32).max)


@dataclass
class Tally:
    """Counts of the values that are looked at; zeros have the last place."""

    extremes: Extremes
    gradients: Gradients
    split: bool  # whether channels have histograms
    whole: Bins
    by_channel: Bins
    moments: Moments
    channel_counts: NDArray[np.float32]
    channel_weights: NDArray[np.float32]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS + 1, np.int64))
    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS + 1))

    @classmethod
    def of(cls, shape: Shape, dtype: Any, extremes: Extremes) -> Tally:
        """An empty one for a tensor of `shape` and `dtype`."""
        channels = len(extremes.low)
        split = len(shape) > 2 and channels <= _MOST_CHANNELS
        cells = np.zeros((2, channels * CHANNEL_BINS if split else 0), np.float32)
        low, high = extremes.range
        whole = Bins.between(np.array([low]), np.array([high]), BINS, dtype)
        by_channel = Bins.between(extremes.low, extremes.high, CHANNEL_BINS, dtype)
        return cls(extremes, Gradients.of(shape), split, whole, by_channel, Moments.of(extremes), *cells)

    def add(self, values: NDArray[Any], slopes: NDArray[Any] | None) -> None:
        """More samples, a row each."""
        squares = None if slopes is None else self.gradients.add(slopes)
        channels, zeros = self.gradients.channels, values == 0
        places = self.whole.places(self.whole.scaled(values), zeros)
        self.counts += self.whole.counted(places)
        if squares is not None:
            self.weights += self.whole.weighed(places, squares)
        scaled = self.by_channel.scaled(values, channels.of)
        self.moments.add(scaled, channels)
        if not self.split:
            return
        places = self.by_channel.places(scaled, zeros, channels.of)
        self.channel_counts += self.by_channel.counted(places)[:-1].astype(np.float32)
        if squares is not None:
            with np.errstate(over="ignore"):  # infinity is seen later, by `_fits`
                self.channel_weights += self.by_channel.weighed(places, squares)[:-1].astype(np.float32)

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
            self.moments.variance(self.gradients.channels),
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
