"""The snapshot of a build before, held against the disk: a look that waits for nobody and imports little."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from modelbuild.build.amendment import Amendment, load
from modelbuild.build.clock import Clock
from modelbuild.build.snapshot import Snapshot

FOLDER = "settled"  # in the state's folder
ROOTS = "roots"  # in the state's folder: what `build.roots` notes, a file a request
PLAN = ".plan"  # suffix of the file of the actions beside a snapshot
AMENDED = ".amended"  # suffix of what is otherwise since a snapshot was written


class Recalled(NamedTuple):  # no dataclass, as in modelbuild.errors
    """A snapshot, its rows that are otherwise now, and what in it is not as in its file. `turn` tells whether
    anybody had the lock since."""

    snapshot: Snapshot
    different: tuple[int, ...]
    amendment: Amendment
    turn: bytes


def path_of(state_folder: str, request: str) -> str:
    """Where the snapshot of a request is kept, whether or not there is one."""
    return f"{state_folder}/{FOLDER}/{request}"


def is_noted(state_folder: str, noted: str) -> bool:
    """Whether it is noted what the last build of a request rests on: else `cache gc` may take it away."""
    return os.path.exists(f"{state_folder}/{ROOTS}/{noted}")  # noqa: PTH110


def recall(root: str, state_folder: str, request: str, *, renews: bool = True) -> Recalled | None:
    """What is known of the request; None where nothing is, or where a build is going on. Signatures that were
    found renewed are kept for the next look, unless it `renews` nothing."""
    with _beside_readers(f"{state_folder}/lock") as descriptor:
        if descriptor is None:
            return None
        path = path_of(state_folder, request)
        found = load(_read(path), _read(path + AMENDED))
        if found is None:
            return None
        snapshot, amendment = found
        different, renewed = snapshot.differing(root, Clock(state_folder))
        amendment.add(snapshot, renewed)
        if renews and renewed and not different and _alone(descriptor):
            _renew(path, snapshot, amendment)
        return Recalled(snapshot, tuple(different), amendment, os.pread(descriptor, 32, 0))


def _read(path: str) -> bytes | None:
    """The bytes of a regular file; None for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read()
    except OSError:
        return None


def _renew(path: str, snapshot: Snapshot, amendment: Amendment) -> None:
    """Keeps new signatures; where that cannot be, the same files are looked at once more the next time."""
    from contextlib import suppress
    from pathlib import Path

    from modelbuild.build.remember import keep
    from modelbuild.errors import ModelbuildError

    kept = Path(path)
    with suppress(ModelbuildError):
        keep(kept, snapshot, amendment, kept.parent.parent / "work")


@contextmanager
def _beside_readers(lock: str) -> Iterator[int | None]:
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
