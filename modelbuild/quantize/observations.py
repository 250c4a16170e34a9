"""What was observed of a model's tensors, and its file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.histogram import BINS, Histogram

SCHEMA = 1
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3  # APPNOTE.TXT 4.4.2.2; Python writes the system that it runs on
_CHANNELS = ("channel_low", "channel_high", "channel_sum")


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
        counts = np.array([self.tensors[name].histogram.counts for name in names]).reshape(-1, BINS)
        arrays: dict[str, NDArray[Any]] = {
            "schema": np.array([SCHEMA, self.samples, BINS], np.int64),
            "names": np.frombuffer("\0".join(names).encode(), np.uint8),
            "ranges": np.array([_extremes(self.tensors[name]) for name in names]).reshape(-1, 2),
            "sizes": np.array([_sizes(self.tensors[name]) for name in names], np.int64).reshape(-1, 3),
            "counts": counts.astype(np.min_scalar_type(counts.max(initial=0))),
        }
        for key in _CHANNELS:
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


def _extremes(tensor: TensorObservation) -> tuple[float, float]:
    return tensor.histogram.low, tensor.histogram.high


def _sizes(tensor: TensorObservation) -> tuple[int, int, int]:
    return tensor.count, tensor.histogram.zeros, len(tensor.channel_sum)


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A .npz whose bytes depend on the arrays alone: numpy's own carries the clock, and compressed bytes the
    version of zlib."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for key, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy", _EPOCH)
            entry.create_system = _UNIX
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
        parts = [arrays[key][span] for key in _CHANNELS]
        histogram = Histogram(low, high, arrays["counts"][index].astype(np.int64), zeros)
        tensors[name] = TensorObservation(histogram, values, *parts)
    return Observations(samples, tensors)
