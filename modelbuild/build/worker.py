"""A worker process: takes tasks as JSON lines, calls the functions they name, answers with JSON lines."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import stat
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from modelbuild.build import disk, lent, processes, progress, trouble
from modelbuild.build.records import Record, encode_with
from modelbuild.build.store import Blob, name_of
from modelbuild.build.task_lines import Receiver
from modelbuild.build.tasks import record_path
from modelbuild.errors import EXIT_FAILED, ModelbuildError

# A build should lose an action when memory runs out, not the builder or the user's session.
OUT_OF_MEMORY_SCORE = b"500"
RESET_PEAK = b"5"  # proc(5): what getrusage tells of this process's peak begins anew
BLOCK = 1 << 20
_File = tuple[str, str, int]  # relative POSIX path, path and mode


def serve(tasks: int, replies: int, log: int) -> None:
    """Serves tasks until the pipe `tasks` ends. What a stage prints goes to the file `log`."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(OUT_OF_MEMORY_SCORE)
    answers = _Answers(replies)
    peak = _Peak()
    receiver = Receiver()
    for line in os.fdopen(tasks, "rb"):
        task = receiver.task(line)
        if task is None:
            continue
        peak.begin()
        answers.begin()
        os.dup2(log, 1)
        os.dup2(log, 2)
        result = _perform(task)
        if processes.has_children():  # what a stage leaves running could write to what is checked by now
            processes.kill_children()
        log, printed = _keep_log(log, task)
        alone = threading.active_count() == 1
        clean = result.pop("flat", False) and alone and _is_empty(Path(task["folder"], "tmp"))
        answers.end({**result, "printed": printed, "clean": clean, "alone": alone, **peak.end()})


class _Answers:
    """The lines to the builder. A thread that a stage leaves may report for ever; after the end of its task
    nobody hears it."""

    def __init__(self, replies: int) -> None:
        self._stream = os.fdopen(replies, "wb")
        self._lock = threading.Lock()
        self._is_open = False

    def begin(self) -> None:
        """From now on, what a stage reports is passed on."""
        self._is_open = True
        progress.listen(self._advance)

    def end(self, content: Mapping[str, Any]) -> None:
        """The task's last line."""
        progress.listen(None)
        with self._lock:
            self._is_open = False
            self._write(content)

    def _advance(self, step: int, steps: int, what: str) -> None:
        with self._lock:
            if self._is_open:
                self._write({"progress": [step, steps, what]})

    def _write(self, content: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps(content, default=str).encode("ascii") + b"\n")
        self._stream.flush()


def close_standard_input() -> None:
    """Makes standard input empty."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def in_bytes(maxrss: int) -> int:
    """What getrusage calls `ru_maxrss`, in bytes."""
    return maxrss if sys.platform == "darwin" else maxrss * 1024


class _Peak:
    """The most memory that this process, or one that it started, took in a task; unknown off Linux."""

    def __init__(self) -> None:
        self._reset: int | None = None
        with suppress(OSError):
            self._reset = os.open("/proc/self/clear_refs", os.O_WRONLY)
            self._now = os.open("/proc/self/statm", os.O_RDONLY)
        self._children = 0

    def begin(self) -> None:
        if self._reset is not None:
            with suppress(OSError):
                os.write(self._reset, RESET_PEAK)
        self._children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

    def end(self) -> dict[str, int | None]:
        """`peak`, and what is still held, `resident`; both in bytes."""
        if self._reset is None:
            return {"peak": None, "resident": None}
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = max(own, children) if children > self._children else own
        pages = int(os.pread(self._now, 256, 0).split()[1])
        return {"peak": in_bytes(peak), "resident": pages * resource.getpagesize()}


def _perform(task: Mapping[str, Any]) -> dict[str, Any]:
    """`{"outputs": {name: [digest, size]}, "doubles": [name], "record": digest, "flat": bool}`,
    `{"found": [path]}` or `{"error": ..., "remember": bool}`; flat: the stage has made no folder."""
    folder = Path(task["folder"])
    try:
        # relative and temporary files go to a private folder too
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        os.chdir(folder / "tmp")
        lent.lend(task["secrets"])
        function = _resolve(task["function"])
        inputs = {role: Path(path) for role, path in task["inputs"].items()}
        if task["kind"] == "discover":
            return {"found": [str(path) for path in function(inputs, task["parameters"])]}
        function(inputs, task["parameters"], folder / "out")
        files, is_flat = _files(folder / "out")
        outputs, doubles = _collect(files, task["blobs"])
        trouble.refuse_full_disk(folder)
        record = _prepare_record(task, outputs)
        return {"outputs": outputs, "doubles": doubles, "record": record, "flat": is_flat}
    except BaseException as error:  # a stage's sys.exit or a bug must cost this action only
        with suppress(OSError):  # the log may lie on a full disk
            traceback.print_exc()
        told, remember = trouble.verdict(error, task["name"], folder)
        return {"error": told.to_json(), "remember": remember}
    finally:
        lent.lend({})
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()


def _is_empty(folder: Path) -> bool:
    try:
        return not any(os.scandir(folder))
    except OSError:
        return False


def _keep_log(log: int, task: Mapping[str, Any]) -> tuple[int, bool]:
    """Hands what was printed over in the task's folder and begins a new log; its descriptor, and whether."""
    with suppress(OSError):
        if not os.fstat(log).st_size:
            return log, False
        Path(task["log"]).replace(Path(task["folder"], "log"))
        fresh = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.close(log)
        return fresh, True
    with suppress(OSError):
        os.ftruncate(log, 0)
    return log, False


def _resolve(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return function


def _collect(files: Iterable[_File], blobs: str) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """The outputs by relative POSIX path, hashed and flushed to the disk, and the names of those that are not
    flushed, because there is such a blob: it is for the builder to say whether that is right."""
    found: dict[str, tuple[str, int]] = {}
    doubles: list[str] = []
    for name, path, mode in files:
        if not mode & stat.S_IRUSR:
            Path(path).chmod(0o644)
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
            digest, size = _hashed(stream)
            found[name] = digest, size
            if os.path.exists(f"{blobs}/{name_of(digest)}"):  # noqa: PTH110
                doubles.append(name)
            else:
                disk.flush(stream.fileno())
    return found, doubles


def _files(out: Path) -> tuple[list[_File], bool]:
    """The files that the stage left, and whether it made no folder, not even an empty one."""
    if out.is_symlink():
        raise ModelbuildError("the stage put a link in the place of its folder", exit_code=EXIT_FAILED)
    files: list[_File] = []
    is_flat = True
    waiting = [(str(out), "")]
    while waiting:
        folder, prefix = waiting.pop()
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            name = prefix + entry.name
            about = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode):
                is_flat = False
                waiting.append((entry.path, f"{name}/"))
            elif stat.S_ISREG(about.st_mode) and about.st_nlink == 1:
                files.append((name, entry.path, about.st_mode))
            else:
                raise ModelbuildError(
                    f"the stage left {name!r}, which is a link or no regular file", exit_code=EXIT_FAILED
                )
    return files, is_flat


def _prepare_record(task: Mapping[str, Any], outputs: Mapping[str, tuple[str, int]]) -> str:
    """Writes and flushes the record here, side by side with other workers; the builder only renames it. Its
    digest."""
    blobs = {name: Blob(digest, size) for name, (digest, size) in outputs.items()}
    whole = encode_with(task["fields"], task["key"], Record([], outputs=blobs))
    with open(record_path(task["folder"]), "wb", buffering=0) as stream:  # noqa: PTH123
        data = memoryview(whole)
        while data:
            data = data[stream.write(data) :]
        disk.flush(stream.fileno())
    return hashlib.sha256(whole).hexdigest()


def _hashed(stream: BinaryIO) -> tuple[str, int]:
    """Digest and size, from one reading."""
    size, digest = 0, hashlib.sha256()
    while block := stream.read(BLOCK):
        size += len(block)
        digest.update(block)
    return digest.hexdigest(), size
