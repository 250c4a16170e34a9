"""Worker processes seen from the parent: started when needed, kept for reuse, killed as a group."""

from __future__ import annotations

import heapq
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from modelbuild.build import disk
from modelbuild.errors import EXIT_FAILED, ModelbuildError

# Nothing of the user's session may reach an output by these ways.
FIXED_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@dataclass(frozen=True)
class Task:
    """One call: `kind` is `run` or `discover`; `folder` is private to it; `inputs` is role -> path."""

    name: str
    kind: str
    function: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Path]
    folder: Path

    @property
    def log(self) -> Path:
        """Where what the call prints goes."""
        return self.folder / "log"


@dataclass(frozen=True)
class Reply:
    """How a call ended. `remember` is false where the error may be gone the next time."""

    task: Task
    outputs: Mapping[str, tuple[str, int]]
    found: tuple[str, ...]
    error: ModelbuildError | None
    remember: bool
    worker: int
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Progress:
    """How far a task is."""

    task: Task
    worker: int
    step: int
    steps: int
    what: str


class _Worker:
    """One process, its pipe and the bytes of a reply that is not whole yet."""

    def __init__(self, number: int, environment: Mapping[str, str], log: Path) -> None:
        self.number = number
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "modelbuild.build.worker", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **FIXED_ENVIRONMENT, **environment},
                process_group=0,
            )
        self.log = log
        self.buffer = bytearray()
        self.task: Task | None = None

    @property
    def output(self) -> int:
        """The descriptor that its replies come from."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def send(self, task: Task) -> None:
        """Hands over a task; a worker that has died meanwhile is noticed when it is read."""
        self.task = task
        message = {
            "name": task.name,
            "kind": task.kind,
            "function": task.function,
            "parameters": task.parameters,
            "inputs": {role: str(path) for role, path in task.inputs.items()},
            "folder": str(task.folder),
            "log": str(task.log),
        }
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self.process.stdin.flush()

    def lines(self, data: bytes) -> list[bytes]:
        """The replies that `data` completes."""
        *whole, rest = (self.buffer + data).split(b"\n")
        self.buffer = bytearray(rest)
        return [bytes(line) for line in whole]

    def kill(self) -> None:
        """Kills the process and what it started, and reaps it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self.process.wait()


class Pool:
    """Up to `jobs` workers. Use it as a context: leaving it, in whatever way, leaves no process behind.

    The workers die with the thread that made them, so that must be the one that waits for them.
    """

    def __init__(self, jobs: int, environment: Mapping[str, str], folder: Path) -> None:
        self._jobs = jobs
        self._environment = environment
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._numbers = list(range(jobs))  # a heap of those that no worker has

    def __enter__(self) -> Self:
        try:
            disk.make_folder(self._folder)
        except OSError as error:
            raise disk.failure("make the working folder", self._folder, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()
        self._selector.close()

    @property
    def has_room(self) -> bool:
        """Whether another task can start now."""
        return bool(self._idle) or len(self._workers) < self._jobs

    def start(self, task: Task) -> int:
        """Gives the task to an idle worker, or to a new one; the worker's number, from 0 to jobs - 1."""
        if self._idle:
            worker = self._idle.pop()
        else:
            number = heapq.heappop(self._numbers)
            worker = _Worker(number, self._environment, self._folder / f"worker-{number}.log")
            self._workers.append(worker)
            self._selector.register(worker.output, selectors.EVENT_READ, worker)
        worker.send(task)
        return worker.number

    def wait(self) -> list[Reply | Progress]:
        """Blocks until at least one task has ended, one way or the other, or has told how far it is."""
        replies: list[Reply | Progress] = []
        while not replies:
            for key, _ in self._selector.select():
                worker: _Worker = key.data
                data = os.read(worker.output, 1 << 16)
                if not data:
                    self._selector.unregister(worker.output)
                    self._workers.remove(worker)
                    heapq.heappush(self._numbers, worker.number)
                    replies.append(_crashed(worker))
                for line in worker.lines(data):
                    replies.append(_reply(worker, json.loads(line)))
                    if isinstance(replies[-1], Reply):
                        self._idle.append(worker)
        return replies


def _reply(worker: _Worker, content: Mapping[str, Any]) -> Reply | Progress:
    assert worker.task is not None
    if "progress" in content:
        return Progress(worker.task, worker.number, *content["progress"])
    error = content.get("error")
    return Reply(
        task=worker.task,
        outputs={name: (digest, size) for name, (digest, size) in content.get("outputs", {}).items()},
        found=tuple(content.get("found", ())),
        error=ModelbuildError.from_json(error) if error else None,
        remember=content.get("remember", False),
        worker=worker.number,
        peak_bytes=content["peak"],
    )


def _crashed(worker: _Worker) -> Reply:
    assert worker.task is not None
    worker.kill()
    status = worker.process.returncode
    ended = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    advice = "if the system ran out of memory, build with a lower -j" if status == -signal.SIGKILL else ""
    error = ModelbuildError(
        f"the process that ran {worker.task.name} {ended}",
        why=_last_line(worker.task.log) or _last_line(worker.log),
        advice=advice,
        exit_code=EXIT_FAILED,
    )
    return Reply(worker.task, {}, (), error, remember=False, worker=worker.number)


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 4096))
            lines = stream.read().decode("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
