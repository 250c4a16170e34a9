"""Builds that a git hook starts and does not wait for: one at a time, and none is forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelbuild.build import disk
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.project.layout import STATE
from modelbuild.project.repository import clean_environment

FOLDER = f"{STATE}/background"
LOG = f"{FOLDER}/log"
_LOCK = f"{FOLDER}/lock"
_LOOKING = f"{FOLDER}/looking"  # shared by those who look whether the lock is taken, as long as they hold it
_WANTED = "wanted."


def trigger(folder: Path, file: str, start: tuple[str, ...]) -> bool:
    """Asks for a build of the project; True if that has started a process, False if one that runs will see to
    it. `start` is the command, to which the folder is added. Raises ModelbuildError (exit 1)."""
    wanted = _wanted(folder, file)
    try:
        disk.make_folder(wanted.parent)
        wanted.touch()
    except OSError as error:
        raise disk.failure("write", wanted, error) from error
    # Who has the lock looks for wishes once more after letting go: either it sees ours, or we get the lock.
    with _only_one(folder) as lock, open(folder / LOG, "ab") as log:  # noqa: PTH123
        if lock is None:
            return False
        subprocess.Popen(
            [*start, "-C", str(folder)],
            cwd=folder,
            env=clean_environment(),
            stdin=lock,  # the process has it from its first moment: no second one is started beside it
            stdout=log,
            stderr=log,
            start_new_session=True,  # neither Ctrl-C nor the end of the terminal is meant for it
        )
    return True


def serve(folder: Path, build: Callable[[str], None]) -> None:
    """Builds, by the name of the manifest, as long as somebody asks for it, whichever manifest of the folder,
    unless another process does so already; begins the log anew."""
    handed_over = _handed_over(folder)
    if handed_over is not None and not _wishes(folder):  # who built before has seen to ours
        os.close(handed_over)
        handed_over = None
    while _wishes(folder):
        with _only_one(folder, handed_over) as lock:
            if lock is None:
                return
            os.truncate(folder / LOG, 0)
            while wishes := _wishes(folder):
                for file in wishes:
                    _wanted(folder, file).unlink(missing_ok=True)
                    build(file)
                    sys.stdout.flush()
                    sys.stderr.flush()
        handed_over = None


def is_running(folder: Path) -> bool:
    """Whether a build is going on in the background."""
    if not (folder / FOLDER).is_dir():
        return False
    with _opened(folder / _LOOKING) as looking, _opened(folder / _LOCK) as lock:
        import fcntl

        fcntl.flock(looking, fcntl.LOCK_SH)
        return not _taken(lock, fcntl.LOCK_SH)


def _wanted(folder: Path, file: str) -> Path:
    return folder / FOLDER / (_WANTED + file.replace("%", "%25").replace("/", "%2F"))


def _wishes(folder: Path) -> list[str]:
    """The manifests of which a build is wanted."""
    names = (path.name.removeprefix(_WANTED) for path in (folder / FOLDER).glob(f"{_WANTED}*"))
    return sorted(name.replace("%2F", "/").replace("%25", "%") for name in names)


def _handed_over(folder: Path) -> int | None:
    """The lock, if `trigger` gave it to this process as its standard input; a build must not inherit that."""
    try:
        if not os.path.samestat(os.fstat(0), os.stat(folder / _LOCK)):  # noqa: PTH116
            return None
    except OSError:
        return None
    lock = os.dup(0)
    with open(os.devnull) as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    return lock


@contextmanager
def _only_one(folder: Path, handed_over: int | None = None) -> Iterator[int | None]:
    """The lock of the one process that builds in the background; None if that is another."""
    if handed_over is not None:
        try:
            yield handed_over
        finally:
            os.close(handed_over)
        return
    with _opened(folder / _LOCK) as lock:
        import fcntl

        if _taken(lock, fcntl.LOCK_EX):
            yield lock
            return
        with _opened(folder / _LOOKING) as looking:
            fcntl.flock(looking, fcntl.LOCK_EX)  # not one that only looks has it now
            taken = _taken(lock, fcntl.LOCK_EX)
        yield lock if taken else None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A file to lock. Raises ModelbuildError (exit 1)."""
    try:
        import fcntl  # noqa: F401

        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except ModuleNotFoundError as error:
        raise ModelbuildError(
            "this platform has no builds in the background", exit_code=EXIT_FAILED
        ) from error
    except OSError as error:
        raise disk.failure("open the lock file", path, error) from error
    try:
        yield file
    finally:
        os.close(file)


def _taken(lock: int, kind: int) -> bool:
    import fcntl

    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
