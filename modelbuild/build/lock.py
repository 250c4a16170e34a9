"""One writer a checkout, by flock(2): the kernel drops the lock when its process dies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelbuild.build import disk
from modelbuild.errors import EXIT_FAILED, ModelbuildError


@contextmanager
def held(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock file at `path`; calls `waiting` once if another process has it, then waits for its turn.

    Raises ModelbuildError (exit 1) if the file cannot be opened or the platform has no flock.
    """
    try:
        import fcntl
    except ModuleNotFoundError as error:
        raise ModelbuildError(
            "this platform cannot build",
            why="the builder locks its state with flock(2), which only POSIX systems have",
            advice="use Linux, macOS or WSL2 for build, check, clean, and for run, compare and evaluate of "
            "what a manifest names; the other verbs, and these three on files, work here",
            exit_code=EXIT_FAILED,
        ) from error
    told = False
    while True:
        descriptor = _open(path)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    waiting()
                    told = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_still(path, descriptor):
                yield
                return
        finally:
            os.close(descriptor)


def _open(path: Path) -> int:
    try:
        disk.make_folder(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        try:
            return os.open(path, os.O_RDONLY)  # a read-only checkout: enough where there is nothing to do
        except OSError:
            raise disk.failure("open the lock file", path, error) from error


def _is_still(path: Path, descriptor: int) -> bool:
    """False if someone removed the state folder while we waited: that lock guards nothing any more."""
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
