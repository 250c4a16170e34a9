"""One writer a checkout, by flock(2): the kernel drops the lock when its process dies."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from modelbuild.build import disk
from modelbuild.errors import EXIT_FAILED, ModelbuildError

# NFS without a lock service, or file systems that have no locks
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF}


_COUNT = 32  # bytes that hold the number of a turn


class Lock(NamedTuple):
    """A lock file that is held."""

    path: Path
    descriptor: int

    @property
    def is_lost(self) -> bool:
        """Whether the file is no longer the one at its path: someone removed it or the folder around it."""
        try:
            found, held = self.path.stat(), os.fstat(self.descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # the disk fails, and says so elsewhere
            return False
        return (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino)

    def turn(self) -> bytes:
        """Counts this turn in the file, and returns what stood there: who looked at the state before knows by
        it whether anybody had the lock since. Where nobody can know, what is returned equals nothing: on a
        full disk, where much can still be removed, the file is made empty, and an empty one has no number."""
        before = os.pread(self.descriptor, _COUNT, 0)
        number = before.partition(b"\n")[0]
        try:
            os.pwrite(self.descriptor, b"%d\n" % (int(number) + 1 if number.isdigit() else 1), 0)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.descriptor, 0)
            return os.urandom(_COUNT)
        return before if number.isdigit() else os.urandom(_COUNT)

    def check(self) -> None:
        """Raises ModelbuildError (exit 1) if the lock is lost."""
        if self.is_lost:
            raise ModelbuildError(
                f"{self.path} was removed while this build used the folder",
                why="another build may have begun beside this one, and its files and ours were mixed",
                advice="build again; `modelbuild clean` removes the state, when no build is running",
                exit_code=EXIT_FAILED,
            )


@contextmanager
def held(path: Path, waiting: Callable[[], None]) -> Iterator[Lock]:
    """Holds the lock file at `path`; calls `waiting` once if another process has it, then waits for its turn.

    Raises ModelbuildError (exit 1) if the file cannot be opened, or the platform or the disk has no flock.
    """
    _require_flock()
    told = False
    while True:
        descriptor = _open(path)
        try:
            if not _flock(descriptor, path, wait=False):
                if not told:
                    waiting()
                    told = True
                _flock(descriptor, path, wait=True)
            lock = Lock(path, descriptor)
            if not lock.is_lost:  # else the folder was removed while we waited: this lock guards nothing
                yield lock
                return
        finally:
            os.close(descriptor)


@contextmanager
def tried(path: Path) -> Iterator[bool]:
    """Holds the lock file at `path` if no other process has it: whether that is so. Raises as `held`."""
    _require_flock()
    descriptor = _open(path)
    try:
        yield _flock(descriptor, path, wait=False)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, path: Path, wait: bool) -> bool:
    """Whether the lock is ours now; False only without `wait`."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _refused(path, error) from error
    return True


def _require_flock() -> None:
    try:
        import fcntl  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModelbuildError(
            "this platform cannot build",
            why="the builder locks its state with flock(2), which only POSIX systems have",
            advice="use Linux, macOS or WSL2 for build, check, clean, and for run, compare and evaluate of "
            "what a manifest names; the other verbs, and these three on files, work here",
            exit_code=EXIT_FAILED,
        ) from error


def _open(path: Path) -> int:
    try:
        disk.make_folder(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        try:
            # a read-only checkout: enough where there is nothing to do
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise disk.failure("open the lock file", path, error) from error


def _refused(path: Path, error: OSError) -> ModelbuildError:
    if error.errno not in _NO_LOCKS:
        return disk.failure("lock", path, error)
    return ModelbuildError(
        f"cannot lock {path}",
        why=f"{error.strerror}: the file system there has no locks",
        advice="mount it with locks (NFS: version 4, or a running lock service), or make .modelbuild a link "
        "to a folder on a local disk",
        exit_code=EXIT_FAILED,
    )
