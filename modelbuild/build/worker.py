"""A worker process: takes tasks as JSON lines, calls the functions they name, answers with JSON lines."""

from __future__ import annotations

import errno
import importlib
import json
import os
import resource
import signal
import stat
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelbuild.build import canonical, disk, progress
from modelbuild.errors import EXIT_FAILED, ModelbuildError

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Troubles of the machine, not of the inputs: the same action may succeed next time.
PASSING = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
    errno.EROFS,
    errno.EINTR,
}


def main(arguments: list[str]) -> None:
    """Serves tasks until the parent, whose process id is the only argument, closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    _die_with(int(arguments[0]))
    # What a stage prints must not reach the channel: it moves to descriptors that nobody else knows.
    tasks, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def answer(content: Mapping[str, Any]) -> None:
        replies.write(json.dumps(content, default=str).encode("ascii") + b"\n")
        replies.flush()

    progress.listen(lambda step, steps, what: answer({"progress": [step, steps, what]}))
    for line in tasks:
        result = _perform(json.loads(line))
        answer({**result, "peak": _peak()})


def _peak() -> int:
    """The most memory that this process has had so far, in bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _die_with(parent: int) -> None:
    """Asks the kernel to kill this process when the parent ends, however it ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(EXIT_FAILED)


def _perform(task: Mapping[str, Any]) -> dict[str, Any]:
    """`{"outputs": {name: [digest, size]}}`, `{"found": [path]}` or `{"error": ..., "remember": bool}`."""
    with _captured(task):
        try:
            function = _resolve(task["function"])
            inputs = {role: Path(path) for role, path in task["inputs"].items()}
            if task["kind"] == "discover":
                return {"found": [str(path) for path in function(inputs, task["parameters"])]}
            out = Path(task["folder"]) / "out"
            out.mkdir()
            function(inputs, task["parameters"], out)
            return {"outputs": {name: list(pair) for name, pair in _collect(out)}}
        except ModelbuildError as error:
            traceback.print_exc()
            return {"error": error.to_json(), "remember": not _is_passing(error)}
        except BaseException as error:  # a stage's sys.exit or a bug must cost this action only
            traceback.print_exc()
            return {"error": _internal(task["name"], error).to_json(), "remember": False}


@contextmanager
def _captured(task: Mapping[str, Any]) -> Iterator[None]:
    """Output goes to the action's log; relative and temporary files to its private folder."""
    folder = Path(task["folder"])
    temporary = folder / "tmp"
    temporary.mkdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    os.chdir(temporary)
    before = os.dup(2)
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(before, 1)
        os.dup2(before, 2)
        os.close(before)
        os.chdir("/")


def _resolve(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return function


def _collect(out: Path) -> Iterator[tuple[str, tuple[str, int]]]:
    """The outputs by relative POSIX path, hashed and flushed to the disk."""
    for folder, subfolders, names in os.walk(out, onerror=_raise):
        for entry in sorted([*subfolders, *names]):
            path = Path(folder, entry)
            name = path.relative_to(out).as_posix()
            found = path.lstat()
            if stat.S_ISDIR(found.st_mode):
                continue
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise ModelbuildError(
                    f"the stage left {name!r}, which is a link or no regular file", exit_code=EXIT_FAILED
                )
            path.chmod(0o644)
            with path.open("rb") as stream:
                disk.flush(stream.fileno())
            yield name, (canonical.sha256_of_file(path), found.st_size)


def _raise(error: OSError) -> None:
    raise error


def _is_passing(error: BaseException | None) -> bool:
    """Whether a trouble of the machine or of the network stands anywhere in the chain of causes."""
    while error is not None:
        if isinstance(error, ModelbuildError) and error.passing:
            return True
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in PASSING):
            return True
        error = error.__cause__ or error.__context__
    return False


def _internal(name: str, error: BaseException) -> ModelbuildError:
    if _is_passing(error):
        return ModelbuildError(f"the machine failed {name}", why=_one_line(error), exit_code=EXIT_FAILED)
    return ModelbuildError(
        f"internal error in {name}",
        why=_one_line(error),
        advice="run again with --debug to see where; please report it",
        exit_code=EXIT_FAILED,
    )


def _one_line(error: BaseException) -> str:
    return " ".join(traceback.format_exception_only(error)).strip().replace("\n", " ")


if __name__ == "__main__":
    main(sys.argv[1:])
