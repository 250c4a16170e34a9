"""Run a model over samples and tell what came out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild import output_file, whole_file
from modelbuild.artifacts import values
from modelbuild.artifacts.feeds import Feed, arrays
from modelbuild.artifacts.layouts import Layouts, require, to_source
from modelbuild.artifacts.postprocess import Postprocess
from modelbuild.artifacts.runner import Arrays, Runner, run_real
from modelbuild.errors import ModelbuildError
from modelbuild.samples.files import TENSOR_SUFFIXES

Array = NDArray[Any]


@dataclass(frozen=True)
class RunResult:
    """Outputs of every sample, stacked: one sample keeps its shape, several get an axis in front."""

    outputs: dict[str, Array]
    time_ms: float
    samples: int
    level: str
    post: tuple[Any, ...] | None = None  # what the postprocessing made of each sample
    notes: tuple[str, ...] = ()  # what a run of this file has to be told with

    def to_json(self) -> dict[str, Any]:
        """The object of `run --json`."""
        return {
            "outputs": [_summary(name, value) for name, value in self.outputs.items()],
            "time_ms": self.time_ms,
            "samples": self.samples,
            "level": self.level,
            **({} if self.post is None else {"post": values.to_json(self.post)}),
            **({"notes": list(self.notes)} if self.notes else {}),
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


def run(
    runner: Runner,
    feed: Feed,
    raw: bool = False,
    source_layout: bool = False,
    post: Postprocess | None = None,
) -> RunResult:
    """Every sample of the feed. `time_ms` is this machine's, of all samples, for orientation only, without
    `post`, which is given the outputs of each sample as they are here.

    With `source_layout` arrays come and go in the layout that the model's source has."""
    if raw and post is not None:
        raise ModelbuildError("postprocessing takes real numbers", advice="leave --raw out")
    layouts = require(runner.layouts) if source_layout else {}
    if raw and runner.level == "float":
        raise ModelbuildError(
            "--raw takes a fixed-point model or a package",
            why="a float model has no integers at its borders",
            advice="leave --raw out, or name a .fixed.onnx, a package, or MODEL@TARGET",
        )
    found: dict[str, list[Array]] = {port.name: [] for port in runner.outputs}
    made: list[Any] = []
    elapsed = 0.0
    for inputs, outputs, seconds in _each(runner, feed, raw, layouts):
        elapsed += seconds
        shown = {name: to_source(name, outputs[name], layouts) for name in found}
        for name, value in shown.items():
            found[name].append(value)
        if post is not None:
            made.append(post(shown, inputs))
    stacked = {name: each[0] if len(each) == 1 else np.stack(each) for name, each in found.items()}
    results = None if post is None else tuple(made)
    notes = (*getattr(runner, "notes", ()), *_undeclared(runner, feed))
    return RunResult(stacked, round(elapsed * 1000, 3), len(feed.samples), runner.level, results, notes)


def _undeclared(runner: Runner, feed: Feed) -> Iterator[str]:
    """Where pictures go into a file that has lost what tells their preprocessing."""
    if getattr(runner, "is_described", True):
        return
    files = (path for sample in feed.samples for path in sample.values())
    if any(path.suffix.lower() not in TENSOR_SUFFIXES for path in files):
        yield (
            "pictures went in as 0..255: a kmodel does not hold the preprocessing, and no .json of a build "
            "or of pack lies beside it; put it there, or say it with --preprocess"
        )


def _each(runner: Runner, feed: Feed, raw: bool, layouts: Layouts) -> Iterator[tuple[Arrays, Arrays, float]]:
    """Inputs, outputs and the seconds that they took, of one sample after another."""
    started = time.perf_counter()
    for inputs in arrays(feed, runner.inputs, runner.preprocess, raw, layouts):
        outputs = runner.run(inputs) if raw else _as_codes(runner, run_real(runner, inputs))
        yield inputs, outputs, time.perf_counter() - started
        started = time.perf_counter()


def _as_codes(runner: Runner, outputs: Arrays) -> Arrays:
    """With those that hold a source's codes (scale 1, zero point 0) in the type that holds them."""
    forms = {port.name: port.quantized for port in runner.outputs if port.quantized is not None}
    codes = {name: form for name, form in forms.items() if (form.scale, form.zero_point) == (1.0, 0)}
    return {**outputs, **{name: outputs[name].astype(form.dtype) for name, form in codes.items()}}


def _of_post(result: RunResult) -> Arrays:
    """The numbers that postprocessing made: `post/boxes`, or `post/0/boxes` of the first of many samples."""
    return {
        f"post/{name}" if result.samples == 1 else f"post/{index}/{name}": value
        for index, made in enumerate(result.post or ())
        for name, value in values.numbers(made)
    }


def check_place(path: Path) -> None:
    """That `save` may write there. Raises where it may not, and for a file's name that is not of .npz."""
    if not output_file.check(path) and path.suffix.lower() != ".npz":
        raise ModelbuildError("outputs are written as .npz", where=str(path), advice="write -o outputs.npz")


def save(result: RunResult, path: Path) -> None:
    """The outputs as .npz, written beside `path` and renamed. Raises ModelbuildError if the disk refuses."""
    check_place(path)
    made = _of_post(result)
    twice = [name for name in made if name in result.outputs]
    if twice:
        raise ModelbuildError(
            f"postprocessing makes what an output of the model is called: `{twice[0]}`",
            where=str(path),
            advice="rename that output (`edit: [{rename: ...}]`), or leave -o out",
        )
    try:
        with whole_file.replacing(path) as private, private.open("wb") as stream:
            values.write_npz(stream, {**result.outputs, **made})
    except OSError as error:
        raise ModelbuildError(
            "cannot write the outputs",
            where=str(path),
            why=error.strerror or "",
            advice="name a file in a folder that is there and that you may write to",
        ) from error
