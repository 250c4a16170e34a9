"""Runs the float model over the calibration samples and keeps what ranges are chosen from.

Two passes: smallest and largest values first, then histograms between them. Samples are merged in order and
memory does not grow with their number.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.histogram import BINS, Histogram, count

Sample = Mapping[str, NDArray[Any]]
SCHEMA = 1
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class TensorObservation:
    """One tensor over all samples; channels are axis 1, and one channel for tensors of fewer axes."""

    histogram: Histogram
    count: int  # values in all samples
    channel_low: NDArray[np.float64]
    channel_high: NDArray[np.float64]
    channel_sum: NDArray[np.float64]

    @property
    def channel_mean(self) -> NDArray[np.float64]:
        """The mean of each channel."""
        return self.channel_sum / (self.count / len(self.channel_sum))


@dataclass(frozen=True)
class Observations:
    """Tensor name -> what it held. Independent of number format and range method."""

    samples: int
    tensors: Mapping[str, TensorObservation]

    def save(self, path: Path) -> None:
        """Write a deterministic .npz."""
        names = list(self.tensors)
        arrays: dict[str, NDArray[Any]] = {
            "schema": np.array([SCHEMA, self.samples, BINS], np.int64),
            "names": np.frombuffer("\0".join(names).encode(), np.uint8),
            "ranges": np.array([_extremes(self.tensors[name]) for name in names]).reshape(-1, 2),
            "sizes": np.array([_sizes(self.tensors[name]) for name in names], np.int64).reshape(-1, 3),
            "counts": np.array([self.tensors[name].histogram.counts for name in names]).reshape(-1, BINS),
        }
        for key in ("channel_low", "channel_high", "channel_sum"):
            parts = [getattr(self.tensors[name], key) for name in names]
            arrays[key] = np.concatenate(parts) if parts else np.zeros(0)
        path.write_bytes(_npz(arrays))

    @classmethod
    def load(cls, path: Path) -> Observations:
        """The inverse of `save`; raises on a file that is not one."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                return _unpacked({key: stored[key] for key in stored.files})
        except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile, EOFError) as error:
            raise ModelbuildError(
                "this is not a file of observations", where=str(path), why=f"{type(error).__name__}: {error}"
            ) from error


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
        found[name] = TensorObservation(histogram, extremes.count[name], low, high, total)
    return Observations(extremes.samples, found)


def _runs(
    graph: Graph, session: FloatSession, samples: Iterable[Sample]
) -> Iterator[tuple[int, list[tuple[str, NDArray[Any]]]]]:
    """(sample number, every float tensor of the graph, in the order of execution) for each sample."""
    names = (*graph.inputs, *(name for node in graph.nodes for name in node.outputs))
    for number, sample in enumerate(samples):
        held = {**{name: np.asarray(sample[name]) for name in graph.inputs}, **session.run(sample)}
        yield number, [(name, held[name]) for name in names if name in held and held[name].dtype.kind == "f"]


class _Extremes:
    """The first pass."""

    def __init__(self) -> None:
        self.samples = 0
        self.low: dict[str, NDArray[np.float64]] = {}
        self.high: dict[str, NDArray[np.float64]] = {}
        self.sum: dict[str, NDArray[np.float64]] = {}
        self.count: dict[str, int] = {}

    def range(self, name: str) -> tuple[float, float]:
        return float(self.low[name].min()), float(self.high[name].max())

    def add(self, number: int, tensors: list[tuple[str, NDArray[Any]]]) -> None:
        self.samples += 1
        for name, values in tensors:
            if not values.size:
                continue
            channels = values.shape[1] if values.ndim > 1 else 1
            rows = values.reshape(values.shape[0] if values.ndim > 1 else 1, channels, -1)
            low, high = rows.min(axis=(0, 2)).astype(float), rows.max(axis=(0, 2)).astype(float)
            if not (np.isfinite(low).all() and np.isfinite(high).all()):
                kind = "NaN" if np.isnan(low).any() or np.isnan(high).any() else "infinity"
                raise ModelbuildError(
                    f"the tensor {name!r} holds {kind}",
                    where=f"calibration sample {number + 1}",
                    advice="look at the preprocessing of the inputs and at the model's own arithmetic",
                    exit_code=EXIT_FAILED,
                )
            total = rows.sum(axis=(0, 2), dtype=np.float64)
            if name in self.count:
                np.minimum(self.low[name], low, out=self.low[name])
                np.maximum(self.high[name], high, out=self.high[name])
                self.sum[name] += total
                self.count[name] += values.size
            else:
                self.low[name], self.high[name], self.sum[name] = low, high, total
                self.count[name] = values.size


def _extremes(tensor: TensorObservation) -> tuple[float, float]:
    return tensor.histogram.low, tensor.histogram.high


def _sizes(tensor: TensorObservation) -> tuple[int, int, int]:
    return tensor.count, tensor.histogram.zeros, len(tensor.channel_sum)


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A .npz whose bytes depend on the arrays alone (numpy's own carries the clock)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for key, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.getvalue())
    return buffer.getvalue()


def _unpacked(arrays: Mapping[str, NDArray[Any]]) -> Observations:
    schema, samples, bins = (int(value) for value in arrays["schema"])
    if (schema, bins) != (SCHEMA, BINS):
        raise ValueError(f"schema {schema} with {bins} bins; this version reads {SCHEMA} with {BINS}")
    text = arrays["names"].tobytes().decode()
    names = text.split("\0") if text else []
    tensors: dict[str, TensorObservation] = {}
    start = 0
    for index, name in enumerate(names):
        values, zeros, channels = (int(value) for value in arrays["sizes"][index])
        low, high = (float(value) for value in arrays["ranges"][index])
        span = slice(start, start + channels)
        start += channels
        parts = [arrays[key][span] for key in ("channel_low", "channel_high", "channel_sum")]
        histogram = Histogram(low, high, arrays["counts"][index], zeros)
        tensors[name] = TensorObservation(histogram, values, *parts)
    return Observations(samples, tensors)
