"""What was observed of a model's tensors, and its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.quantize import arrays_file
from modelbuild.quantize.histogram import BINS, CHANNEL_BINS, ChannelHistograms, Histogram
from modelbuild.quantize.sample_ranges import samples_of_rows

SCHEMA = 6
_EXACT = ("channel_low", "channel_high", "channel_sum", "channel_variance")


@dataclass(frozen=True)
class TensorObservation:
    """One tensor over all samples; channels are axis 1, and one channel for tensors of fewer axes.

    `channel_weight` is the sum of the squared gradients of all values of a channel (zeros included), None
    where `histogram.weights` is. `sample_ranges` are the extremes of each sample, or the means of neighbours'
    (sample_ranges.py).
    """

    histogram: Histogram
    count: int  # values in all samples
    channel_low: NDArray[np.float64]
    channel_high: NDArray[np.float64]
    channel_sum: NDArray[np.float64]
    channel_variance: NDArray[np.float64]  # of the values that are looked at
    channels: ChannelHistograms | None = None
    channel_weight: NDArray[np.float64] | None = None
    sample_ranges: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    samples: int = 0

    @property
    def samples_of_rows(self) -> NDArray[np.int64]:
        """How many samples each row of `sample_ranges` stands for."""
        return samples_of_rows(self.samples, len(self.sample_ranges))

    @property
    def channel_mean(self) -> NDArray[np.float64]:
        """The mean of each channel."""
        return self.channel_sum / (self.count / len(self.channel_sum))

    @property
    def channel_power(self) -> NDArray[np.float64]:
        """The mean square of each channel."""
        return self.channel_variance + np.square(self.channel_mean)

    @property
    def power(self) -> float:
        """The sum of the squares of all values."""
        return float(self.channel_power.sum()) * (self.count / len(self.channel_sum))


@dataclass(frozen=True)
class Observations:
    """Tensor name -> what it held. Independent of number format and range method.

    `outputs` counts the ends that gradients begin at (graph/gradient.py); `no_gradient` says of the tensors
    without a gradient which operator has no rule, or "" where nothing that an output depends on reads the
    tensor.
    `melted` are tensors between operators that become one (plan.py): they are given no range, and what is
    known of them is the `channel_weight` alone.
    `covariances` [groups, K, K] of the patches that first layers read, by `covariances.Reader.key`.
    """

    samples: int
    tensors: Mapping[str, TensorObservation]
    outputs: int = 0
    no_gradient: Mapping[str, str] = field(default_factory=dict)
    melted: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    covariances: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def is_unused(self, name: str) -> bool:
        """Whether no output depends on the tensor, so that its errors cost nothing."""
        return self.no_gradient.get(name) == ""

    def channel_weight(self, name: str) -> NDArray[np.float64] | None:
        """That of a tensor, melted or not; None where it is not known."""
        found = self.tensors.get(name)
        return self.melted.get(name) if found is None else found.channel_weight

    def save(self, path: Path) -> None:
        """Write a deterministic .npz."""
        found = list(self.tensors.values())
        weighted = [tensor.histogram.weights for tensor in found if tensor.histogram.weights is not None]
        split = [tensor.channels for tensor in found if tensor.channels is not None]
        counts = np.array([tensor.histogram.counts for tensor in found]).reshape(-1, BINS)
        arrays: dict[str, NDArray[Any]] = {
            "schema": np.array([SCHEMA, self.samples, self.outputs, BINS, CHANNEL_BINS], np.int64),
            "names": _text(self.tensors),
            "no_gradient": _text(part for pair in self.no_gradient.items() for part in pair),
            "ranges": np.array([_numbers(tensor) for tensor in found]).reshape(-1, 3),
            "sizes": np.array([_sizes(tensor) for tensor in found], np.int64).reshape(-1, 5),
            "counts": counts.astype(np.min_scalar_type(counts.max(initial=0))),
            "weights": np.array(weighted, np.float64).reshape(-1, BINS),
            **{key: _joined([getattr(tensor, key) for tensor in found]) for key in _EXACT},
            "channel_weight": _joined([t.channel_weight for t in found if t.channel_weight is not None]),
            "melted": _text(self.melted),
            "melted_sizes": np.array([len(weight) for weight in self.melted.values()], np.int64),
            "melted_weight": _joined(list(self.melted.values())),
            "covariances": _text(self.covariances),
            "covariance_sizes": np.array([each.shape for each in self.covariances.values()], np.int64),
            "covariance_cells": _joined([each.reshape(-1) for each in self.covariances.values()]),
            "sample_ranges": np.concatenate([np.zeros((0, 2)), *(tensor.sample_ranges for tensor in found)]),
            "channel_counts": _rows([channels.counts for channels in split]),
            "channel_weights": _rows([part.weights for part in split if part.weights is not None]),
        }
        arrays_file.write(path, arrays)

    @classmethod
    def load(cls, path: Path) -> Observations:
        """The inverse of `save`; raises on a file that is not one."""
        try:
            return _unpacked(arrays_file.read(path))
        except arrays_file.DAMAGED as error:
            raise ModelbuildError(
                "this is not a file of observations", where=str(path), why=f"{type(error).__name__}: {error}"
            ) from error


def _numbers(tensor: TensorObservation) -> tuple[float, float, float]:
    return tensor.histogram.low, tensor.histogram.high, tensor.histogram.zero_weight


def _sizes(tensor: TensorObservation) -> tuple[int, int, int, int, int]:
    has = tensor.histogram.weights is not None, tensor.channels is not None
    return tensor.count, tensor.histogram.zeros, len(tensor.channel_sum), int(has[0]), int(has[1])


def _text(names: Any) -> NDArray[np.uint8]:
    return np.frombuffer("\0".join(names).encode(), np.uint8)


def _names(text: NDArray[Any]) -> list[str]:
    whole = text.tobytes().decode()
    return whole.split("\0") if whole else []


def _joined(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(parts) if parts else np.zeros(0)


def _rows(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate(parts) if parts else np.zeros((0, CHANNEL_BINS), np.float32)


def _unpacked(arrays: Mapping[str, NDArray[Any]]) -> Observations:
    schema, samples, outputs, *bins = (int(value) for value in arrays["schema"])
    if (schema, bins) != (SCHEMA, [BINS, CHANNEL_BINS]):
        raise ValueError(f"schema {schema} with {bins} bins; this version reads {SCHEMA} with {BINS}")
    rows = len(arrays["sample_ranges"])
    if rows:
        samples_of_rows(samples, rows // max(len(arrays["sizes"]), 1))
    if samples < 1 or any(not np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("numbers that no sample makes")
    names = _names(arrays["names"])
    reasons = _names(arrays["no_gradient"])
    parts = _Parts(arrays)
    tensors = {name: parts.tensor(row) for name, row in zip(names, parts.rows(), strict=True)}
    between = _names(arrays["melted"])
    melted = dict(zip(between, parts.melted(), strict=True))
    covariances = dict(zip(_names(arrays["covariances"]), parts.covariances(), strict=True))
    parts.finish()
    if len(tensors) + len(melted) != len({*names, *between}):
        raise ValueError("a tensor stands there twice")
    no_gradient = dict(zip(reasons[::2], reasons[1::2], strict=True))
    return Observations(samples, tensors, outputs, no_gradient, melted, covariances)


class _Parts:
    """The arrays of a file, taken apart from front to back."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._taken = dict.fromkeys(arrays, 0)

    def rows(self) -> Iterator[int]:
        """The numbers of the tensors."""
        return iter(range(len(self._arrays["sizes"])))

    def tensor(self, row: int) -> TensorObservation:
        """The next tensor."""
        count, zeros, channels, has_weights, has_channels = (int(v) for v in self._arrays["sizes"][row])
        low, high, zero_weight = (float(value) for value in self._arrays["ranges"][row])
        counts = self._take("counts", 1)[0].astype(np.int64)
        if count < 1 or zeros < 0 or not 0 < channels <= count or low > high or counts.min() < 0:
            raise ValueError("numbers that no tensor has")
        weights = self._take("weights", 1)[0] if has_weights else None
        smallest, largest, total, variance = (self._take(key, channels) for key in _EXACT)
        return TensorObservation(
            Histogram(low, high, counts, zeros, weights, zero_weight),
            count,
            smallest,
            largest,
            total,
            variance,
            self._channels(channels, bool(has_weights)) if has_channels else None,
            self._take("channel_weight", channels) if has_weights else None,
            self._take("sample_ranges", len(self._arrays["sample_ranges"]) // len(self._arrays["sizes"])),
            int(self._arrays["schema"][1]),
        )

    def melted(self) -> Iterator[NDArray[Any]]:
        """The weights of the melted tensors."""
        for size in self._arrays["melted_sizes"].tolist():
            yield self._take("melted_weight", size)

    def covariances(self) -> Iterator[NDArray[Any]]:
        """Of the patches of first layers."""
        for groups, width, other in self._arrays["covariance_sizes"].reshape(-1, 3).tolist():
            if groups < 1 or width != other or width < 1:
                raise ValueError("a covariance that is not square")
            yield self._take("covariance_cells", groups * width * width).reshape(groups, width, width)

    def finish(self) -> None:
        """Raises where the file holds more than its tensors."""
        parts = ("counts", "weights", "channel_weight", "channel_counts", "channel_weights", "sample_ranges")
        for key in (*parts, *_EXACT, "melted_weight", "covariance_cells"):
            if self._taken[key] != len(self._arrays[key]):
                raise ValueError(f"too many {key}")

    def _channels(self, channels: int, has_weights: bool) -> ChannelHistograms:
        counts = self._take("channel_counts", channels)
        return ChannelHistograms(counts, self._take("channel_weights", channels) if has_weights else None)

    def _take(self, key: str, rows: int) -> NDArray[Any]:
        start = self._taken[key]
        self._taken[key] = start + rows
        found = self._arrays[key][start : start + rows]
        if len(found) != rows:
            raise ValueError(f"too few {key}")
        return found
