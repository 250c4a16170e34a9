"""Runs the float model over the calibration samples and keeps what ranges are chosen from.

Two passes: smallest and largest values first, then histograms between them. Samples are merged in order;
memory holds the tensors of one sample at most, each until it has been counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.finite import require_finite
from modelbuild.quantize.histogram import BINS, Histogram, count
from modelbuild.quantize.observations import Observations, TensorObservation

__all__ = ["Observations", "TensorObservation", "observe"]

Sample = Mapping[str, NDArray[Any]]


def observe(graph: Graph, samples: Callable[[], Iterable[Sample]]) -> Observations:
    """Run `graph` twice over what `samples()` yields: one mapping input name -> array a sample.

    Raises (exit 1) when a tensor holds NaN or infinity, naming tensor and sample; (exit 2) without samples.
    """
    session = FloatSession(graph, "all")
    extremes = _Extremes()
    for number, tensors in _runs(graph, session, samples()):
        extremes.add(number, tensors)
    if not extremes.samples:
        raise ModelbuildError("there is no calibration sample")
    totals = {name: np.zeros(BINS, np.int64) for name in extremes.low}
    zero_totals = dict.fromkeys(extremes.low, 0)
    for _, tensors in _runs(graph, session, samples()):
        for name, values in tensors:
            counts, zeros = count(values, *extremes.range(name))
            totals[name] += counts
            zero_totals[name] += zeros
    found = {}
    for name, counts in totals.items():
        histogram = Histogram(*extremes.range(name), counts, zero_totals[name])
        low, high, total = extremes.low[name], extremes.high[name], extremes.sum[name]
        square = extremes.square[name]
        found[name] = TensorObservation(histogram, extremes.count[name], low, high, total, square)
    return Observations(extremes.samples, found)


def _runs(
    graph: Graph, session: FloatSession, samples: Iterable[Sample]
) -> Iterator[tuple[int, Iterator[tuple[str, NDArray[Any]]]]]:
    """(sample number, every float tensor of the graph, in the order of execution) for each sample."""
    names = (*graph.inputs, *(name for node in graph.nodes for name in node.outputs))
    for number, sample in enumerate(samples):
        held = {**{name: np.asarray(sample[name]) for name in graph.inputs}, **session.run(sample)}
        yield number, _emptied(held, names)


def _emptied(held: dict[str, NDArray[Any]], names: Iterable[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    """The float tensors; each leaves `held`, and the memory, when the next is asked for."""
    for name in names:
        if name in held and held[name].dtype.kind == "f":
            yield name, held.pop(name)


class _Extremes:
    """The first pass."""

    def __init__(self) -> None:
        self.samples = 0
        self.low: dict[str, NDArray[np.float64]] = {}
        self.high: dict[str, NDArray[np.float64]] = {}
        self.sum: dict[str, NDArray[np.float64]] = {}
        self.square: dict[str, NDArray[np.float64]] = {}
        self.count: dict[str, int] = {}

    def range(self, name: str) -> tuple[float, float]:
        return float(self.low[name].min()), float(self.high[name].max())

    def add(self, number: int, tensors: Iterable[tuple[str, NDArray[Any]]]) -> None:
        self.samples += 1
        for name, values in tensors:
            if not values.size:
                continue
            channels = values.shape[1] if values.ndim > 1 else 1
            rows = values.reshape(values.shape[0] if values.ndim > 1 else 1, channels, -1)
            low, high = rows.min(axis=(0, 2)).astype(float), rows.max(axis=(0, 2)).astype(float)
            require_finite(name, np.concatenate((low, high)), f"calibration sample {number + 1}")
            total = rows.sum(axis=(0, 2), dtype=np.float64)
            square = np.square(rows, dtype=np.float64).sum(axis=(0, 2))
            if name in self.count:
                np.minimum(self.low[name], low, out=self.low[name])
                np.maximum(self.high[name], high, out=self.high[name])
                self.sum[name] += total
                self.square[name] += square
                self.count[name] += values.size
            else:
                self.low[name], self.high[name], self.sum[name] = low, high, total
                self.square[name] = square
                self.count[name] = values.size
