"""What goes to a worker and what comes back, as values."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modelbuild.build.key import Parts
from modelbuild.build.memory import readable
from modelbuild.errors import EXIT_FAILED, ModelbuildError


class Task(NamedTuple):
    """One call: `kind` is `run` or `discover`; `folder`, with `out` and `tmp` in it, is private to it;
    `inputs` is role -> path; `blobs` is where the store has its files; `memory` is what the action said that
    it needs, in bytes. The record of a `run` has `key` and `fields`. `secrets` are names of variables of the
    builder's environment that go to the worker for this task alone."""

    name: str
    kind: str
    function: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, str]
    folder: str
    blobs: str
    key: str
    fields: Parts
    memory: int
    secrets: tuple[str, ...] = ()


def record_path(folder: str) -> str:
    """Where a worker leaves the record of a task with this private folder."""
    return f"{folder}/record"


class Reply(NamedTuple):
    """How a call ended. `remember` is false where the error may be gone the next time.

    `doubles` are outputs that are not flushed, because there is such a blob. `record` is the digest of the
    record's file. `log` holds what was printed, if anything was. `clean` says that the task's folder is empty
    but for the outputs. `resident` is what the worker's process still holds; `alone`, whether no thread is
    left in it.
    """

    task: Task
    worker: int
    outputs: Mapping[str, tuple[str, int]]
    doubles: frozenset[str]
    record: str | None
    found: tuple[str, ...]
    error: ModelbuildError | None
    remember: bool
    log: Path | None
    clean: bool
    peak_bytes: int | None
    resident: int = 0
    alone: bool = True


class Progress(NamedTuple):
    """How far a task is."""

    task: Task
    worker: int
    step: int
    steps: int
    what: str


def from_line(line: bytes, task: Task, worker: int) -> Reply | Progress:
    """What a worker said of the task that it has."""
    content = json.loads(line)
    if "progress" in content:
        return Progress(task, worker, *content["progress"])
    error = content.get("error")
    return Reply(
        task=task,
        worker=worker,
        outputs={name: (digest, size) for name, (digest, size) in content.get("outputs", {}).items()},
        doubles=frozenset(content.get("doubles", ())),
        record=content["record"] if "outputs" in content else None,
        found=tuple(content.get("found", ())),
        error=ModelbuildError.from_json(error) if error else None,
        remember=content.get("remember", False),
        log=Path(task.folder, "log") if content["printed"] else None,
        clean=content["clean"],
        peak_bytes=content["peak"],
        resident=content["resident"] or 0,
        alone=content["alone"],
    )


def crashed(task: Task, worker: int, log: Path, last_word: bytes) -> Reply:
    """The reply that stands for a worker's that ended without one; `last_word` is its supervisor's."""
    word: dict[str, Any] = json.loads(last_word) if last_word else {"status": -signal.SIGKILL, "peak": None}
    printed = log if log.exists() and log.stat().st_size else None
    status: int = word["status"]
    peak: int | None = word["peak"]
    ended = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    error = ModelbuildError(
        f"the process that ran {task.name} {ended}",
        why="; ".join(filter(None, [_last_line(printed), _memory(task, status, peak)])),
        advice=ADVICE.get(-status, ""),
        exit_code=EXIT_FAILED,
    )
    return Reply(task, worker, {}, frozenset(), None, (), error, False, printed, False, peak)


ADVICE: dict[int, str] = {
    signal.SIGKILL: "if the system ran out of memory, build with a lower --memory or -j, so that fewer run "
    "side by side, or on a machine that has more",
    signal.SIGBUS: "a disk that is full, or a file that was cut short while it was read, ends a process so: "
    "free space and build again",
}


def _memory(task: Task, status: int, peak: int | None) -> str:
    if status != -signal.SIGKILL or peak is None:
        return ""
    return f"it had taken {readable(peak)} of memory, {readable(task.memory)} were declared"


def _last_line(path: Path | None) -> str:
    if path is None:
        return ""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 4096))
        lines = stream.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
