"""Runs the float model over the calibration samples and keeps what ranges are chosen from.

Two passes: extremes and sums of all values first, then histograms between them, weighed by gradients. Two
samples at a time, merged in order; memory holds the tensors of these at most, each until it has been counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.extremes import Extremes, extremes_of, merge, norm
from modelbuild.quantize.histogram import (
    BINS,
    CHANNEL_BINS,
    ChannelHistograms,
    Histogram,
    channel_places,
    totals,
    weigh,
)
from modelbuild.quantize.in_order import in_order
from modelbuild.quantize.looking import Look
from modelbuild.quantize.observations import Observations, TensorObservation

__all__ = ["Observations", "TensorObservation", "observe"]

NOT_FINITE = "infinite"  # why a tensor has no gradient, beside the names of operators
_MOST_CHANNELS = 8192  # with histograms of their own
Sample = Mapping[str, NDArray[Any]]


def observe(graph: Graph, samples: Callable[[], Iterable[Sample]]) -> Observations:
    """Run `graph` twice over what `samples()` yields: one mapping input name -> array a sample.

    Raises (exit 1) when a tensor holds NaN or infinity, naming tensor and sample; (exit 2) without samples.
    """
    extremes: dict[str, Extremes] = {}
    count = 0
    for found in in_order(partial(_first_look, graph, FloatSession(graph, "all")), samples()):
        merge(extremes, found)
        count += 1
    if not count:
        raise ModelbuildError("there is no calibration sample")
    norms = {name: norm(extremes, name, count) for name in extremes}
    look = Look(graph, extremes, norms)
    tallies = {name: _Tally.of(graph, look, name, extremes[name]) for name in extremes}
    for seen in in_order(partial(_second_look, look, tallies), samples()):
        for name, counted in seen:
            tallies[name].add(counted)
    tensors = {name: tally.observation(extremes[name]) for name, tally in tallies.items()}
    missing = {
        name: look.missing.get(name, NOT_FINITE) for name, tally in tallies.items() if not tally.weighed
    }
    return Observations(count, tensors, look.outputs, missing)


def _first_look(
    graph: Graph, session: FloatSession, number: int, sample: Sample
) -> list[tuple[str, Extremes]]:
    held = {**{name: np.asarray(sample[name]) for name in graph.inputs}, **session.run(sample)}
    names = (*graph.inputs, *(name for node in graph.nodes for name in node.outputs))
    label = f"calibration sample {number + 1}"
    return [(name, extremes_of(name, values, label)) for name, values in _emptied(held, names)]


def _emptied(held: dict[str, NDArray[Any]], names: Iterable[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    """The float tensors; each leaves `held`, and the memory, when the next is asked for."""
    for name in names:
        if name in held and held[name].dtype.kind == "f" and held[name].size:
            yield name, held.pop(name)


@dataclass(frozen=True)
class _Counted:
    """What one sample adds to a tensor's tally; weights None where the sample has no gradient."""

    counts: NDArray[np.int64]
    weights: NDArray[np.float64] | None
    places: NDArray[np.int64] | None  # in the channels' histograms, of the values that are not 0
    squares: NDArray[np.float32] | None  # of their gradients
    channel_weight: NDArray[np.float64] | None


def _second_look(
    look: Look, tallies: Mapping[str, _Tally], number: int, sample: Sample
) -> list[tuple[str, _Counted]]:
    return [
        (name, tallies[name].counted(values, slopes)) for name, values, slopes in look.run(number, sample)
    ]


@dataclass
class _Tally:
    """One tensor's histograms while samples are added."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    scale: float  # values of the tensor for each that is looked at
    channel_of: NDArray[np.int64]
    split: bool  # whether channels have histograms
    weighed: bool
    counts: NDArray[np.int64]
    weights: NDArray[np.float64]
    channel_weight: NDArray[np.float64]
    channel_counts: NDArray[np.float32]
    channel_weights: NDArray[np.float32]

    @classmethod
    def of(cls, graph: Graph, look: Look, name: str, extremes: Extremes) -> _Tally:
        """An empty one."""
        shape, places = graph.shapes[name], look.places[name]
        size = int(np.prod(shape))
        channels = len(extremes.low)
        channel_of = places.channels(shape) if len(shape) > 1 else np.zeros(places.count, np.int64)
        split = len(shape) > 2 and channels <= _MOST_CHANNELS
        cells = channels * CHANNEL_BINS if split else 0
        return cls(
            extremes.low, extremes.high, size / places.count, channel_of, split, name not in look.missing,
            np.zeros(BINS + 1, np.int64), np.zeros(BINS + 1), np.zeros(channels),
            np.zeros(cells, np.float32), np.zeros(cells, np.float32),
        )  # fmt: skip

    def counted(self, values: NDArray[Any], slopes: NDArray[Any] | None) -> _Counted:
        """One sample's part; changes nothing."""
        squares = None
        if slopes is not None and np.isfinite(slopes).all():
            squares = np.square(slopes, dtype=np.float64)
        counts, weights = weigh(values, squares, float(self.low.min()), float(self.high.max()))
        places, kept = None, None
        if self.split:
            some = np.flatnonzero(values)
            places = channel_places(values[some], self.channel_of[some], self.low, self.high)
            kept = None if squares is None else squares[some].astype(np.float32)
        by_channel = None if squares is None else totals(self.channel_of, squares, len(self.low))
        return _Counted(counts, weights, places, kept, by_channel)

    def add(self, counted: _Counted) -> None:
        """One more sample."""
        self.counts += counted.counts
        if counted.places is not None:
            np.add.at(self.channel_counts, counted.places, np.float32(1))
        if counted.weights is None or counted.channel_weight is None:
            self.weighed = False
            return
        self.weights += counted.weights
        self.channel_weight += counted.channel_weight
        if counted.places is not None and counted.squares is not None:
            np.add.at(self.channel_weights, counted.places, counted.squares)

    def observation(self, extremes: Extremes) -> TensorObservation:
        """What was observed, scaled to the whole tensor."""
        counts = np.rint(self.counts * self.scale).astype(np.int64)
        weights = self.weights * self.scale if self.weighed else None
        histogram = Histogram(
            *extremes.range,
            counts[:BINS],
            int(counts[BINS]),
            None if weights is None else weights[:BINS],
            0.0 if weights is None else float(weights[BINS]),
        )
        return TensorObservation(
            histogram,
            extremes.count,
            extremes.low,
            extremes.high,
            extremes.total,
            extremes.square,
            self._channels() if self.split else None,
            self.channel_weight * self.scale if self.weighed else None,
        )

    def _channels(self) -> ChannelHistograms:
        shape, scale = (-1, CHANNEL_BINS), np.float32(self.scale)
        weights = (self.channel_weights * scale).reshape(shape) if self.weighed else None
        return ChannelHistograms((self.channel_counts * scale).reshape(shape), weights)
