"""Run a model over samples and tell what came out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild import whole_file
from modelbuild.artifacts.feeds import Feed, arrays
from modelbuild.artifacts.layouts import Layouts, require, to_source
from modelbuild.artifacts.runner import Arrays, Runner, run_real
from modelbuild.errors import ModelbuildError

Array = NDArray[Any]


@dataclass(frozen=True)
class RunResult:
    """Outputs of every sample, stacked: one sample keeps its shape, several get an axis in front."""

    outputs: dict[str, Array]
    time_ms: float
    samples: int
    level: str

    def to_json(self) -> dict[str, Any]:
        """The object of `run --json`."""
        return {
            "outputs": [_summary(name, value) for name, value in self.outputs.items()],
            "time_ms": self.time_ms,
            "samples": self.samples,
            "level": self.level,
        }


def _summary(name: str, value: Array) -> dict[str, Any]:
    real = value.astype(np.float64)
    known = real.size > 0 and bool(np.isfinite(real).all())
    return {
        "name": name,
        "shape": list(value.shape),
        "dtype": str(value.dtype),
        "min": float(real.min()) if known else None,
        "max": float(real.max()) if known else None,
        "mean": float(real.mean()) if known else None,
    }


def run(runner: Runner, feed: Feed, raw: bool = False, source_layout: bool = False) -> RunResult:
    """Every sample of the feed. `time_ms` is this machine's, of all samples, for orientation only.

    With `source_layout` arrays come and go in the layout that the model's source has."""
    layouts = require(runner.layouts) if source_layout else {}
    if raw and runner.level == "float":
        raise ModelbuildError(
            "--raw takes a fixed-point model or a package",
            why="a float model has no integers at its borders",
        )
    found: dict[str, list[Array]] = {port.name: [] for port in runner.outputs}
    started = time.perf_counter()
    for outputs in _each(runner, feed, raw, layouts):
        for name, values in found.items():
            values.append(to_source(name, outputs[name], layouts))
    elapsed = (time.perf_counter() - started) * 1000
    stacked = {name: values[0] if len(values) == 1 else np.stack(values) for name, values in found.items()}
    return RunResult(stacked, round(elapsed, 3), len(feed.samples), runner.level)


def _each(runner: Runner, feed: Feed, raw: bool, layouts: Layouts) -> Iterator[Arrays]:
    for inputs in arrays(feed, runner.inputs, runner.preprocess, raw, layouts):
        yield runner.run(inputs) if raw else run_real(runner, inputs)


def save(result: RunResult, path: Path) -> None:
    """The outputs as .npz, written beside `path` and renamed. Raises ModelbuildError if the disk refuses."""
    if path.suffix.lower() != ".npz":
        raise ModelbuildError("outputs are written as .npz", where=str(path), advice="write -o outputs.npz")
    try:
        with whole_file.replacing(path) as private, private.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **result.outputs)
    except OSError as error:
        raise ModelbuildError(
            "cannot write the outputs", where=str(path), why=error.strerror or ""
        ) from error
