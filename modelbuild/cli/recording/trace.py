"""`--trace FILE`: the build as Chrome's trace format, for chrome://tracing and Perfetto (docs/events.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modelbuild import __version__, whole_file
from modelbuild.cli.recording.ledger import Run
from modelbuild.cli.recording.places import refused, what_the_system_says
from modelbuild.errors import EXIT_FAILED, ModelbuildError

_PROCESS = 1  # one build is one process of the trace
_PHASES = 0  # the lane of the phases; workers have the lanes after it


class Phase(NamedTuple):
    """A part of the build as a whole, in seconds since it began."""

    name: str
    started: float
    ended: float


def trace(runs: Sequence[Run], phases: Sequence[Phase], counts: Mapping[str, int]) -> dict[str, Any]:
    """The trace: a complete event (`ph` X, microseconds) a phase and a run, each worker a lane."""
    workers = sorted({run.worker for run in runs})
    lanes = [_lane(_PHASES, "build"), *(_lane(worker + 1, f"worker {worker}") for worker in workers)]
    spans = [_span(phase.name, "phase", _PHASES, phase.started, phase.ended, {}) for phase in phases]
    spans += [
        _span(run.action, run.stage, run.worker + 1, run.started, run.ended, _facts(run))
        for run in sorted(runs, key=lambda run: (run.started, run.action))
    ]
    return {
        "traceEvents": [*lanes, *spans],
        "displayTimeUnit": "ms",
        "otherData": {"modelbuild": __version__, "actions": dict(counts)},
    }


def _facts(run: Run) -> dict[str, Any]:
    return {"state": run.state, "peak_bytes": run.peak_bytes, "key": run.key}


def _span(
    name: str, category: str, lane: int, started: float, ended: float, facts: dict[str, Any]
) -> dict[str, Any]:
    began = round(started * 1e6)
    times = {"ts": began, "dur": max(0, round(ended * 1e6) - began)}
    return {"name": name, "cat": category, "ph": "X", **times, "pid": _PROCESS, "tid": lane, "args": facts}


def _lane(lane: int, name: str) -> dict[str, Any]:
    return {"name": "thread_name", "ph": "M", "pid": _PROCESS, "tid": lane, "args": {"name": name}}


def try_file(path: Path) -> None:
    """Raises ModelbuildError (exit 2) if the file could not be written at the end of a build."""
    try:
        if _is_special(path):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        else:
            if path.is_dir():
                raise IsADirectoryError(21, os.strerror(21))
            probe = whole_file.beside(path)
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644))
            probe.unlink()
    except OSError as error:
        raise refused("--trace", str(path), error) from None


def write(path: Path, content: Mapping[str, Any]) -> None:
    """The whole file, or what was there before. Raises ModelbuildError (exit 1)."""
    data = json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    try:
        if _is_special(path):
            path.write_bytes(data)
            return
        with whole_file.replacing(path) as private:
            private.write_bytes(data)
    except OSError as error:
        raise ModelbuildError(
            "the trace could not be written",
            where=str(path),
            why=what_the_system_says(error),
            advice="make room on that disk, or name another file with --trace",
            exit_code=EXIT_FAILED,
        ) from None


def _is_special(path: Path) -> bool:
    """Such as /dev/stderr, or a pipe: nothing that another file could take the place of."""
    return path.exists() and not path.is_file() and not path.is_dir()
