"""The snapshot of a build before, held against the disk: a look that waits for nobody and loads nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from modelbuild.build import disk
from modelbuild.build.clock import Clock
from modelbuild.build.snapshot import Snapshot
from modelbuild.errors import ModelbuildError

FOLDER = "settled"  # in the state's folder


@dataclass(frozen=True)
class Recalled:
    """A snapshot and the rows of it that are otherwise now."""

    snapshot: Snapshot
    different: tuple[int, ...]


def path_of(state_folder: Path, request: str) -> Path:
    """Where the snapshot of a request is kept, whether or not there is one."""
    return state_folder / FOLDER / request


def recall(root: Path, state_folder: Path, request: str) -> Recalled | None:
    """What is known of the request; None where nothing is, or where a build is going on."""
    with _beside_readers(state_folder / "lock") as descriptor:
        if descriptor is None:
            return None
        found = Snapshot.unpack(disk.read(path_of(state_folder, request)))
        if found is None:
            return None
        different, renewed = found.differing(str(root), Clock(str(state_folder)))
        if renewed and not different and _alone(descriptor):
            with suppress(ModelbuildError):  # it only saves looking
                disk.write(path_of(state_folder, request), found.pack(), state_folder / "work")
        return Recalled(found, tuple(different))


@contextmanager
def _beside_readers(lock: Path) -> Iterator[int | None]:
    """The lock's descriptor, shared with others that only look; None while a build has it."""
    try:
        import fcntl

        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except (ModuleNotFoundError, OSError):
        yield None
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield descriptor
    finally:
        os.close(descriptor)


def _alone(descriptor: int) -> bool:
    """Whether the shared lock could be made one's own."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
