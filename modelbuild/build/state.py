"""The builder's folder `.modelbuild/`: its parts, opened together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from modelbuild.build import disk
from modelbuild.build.clock import Clock
from modelbuild.build.history import History
from modelbuild.build.interrupts import Shielded
from modelbuild.build.key import Walks
from modelbuild.build.published import Published
from modelbuild.build.records import Records
from modelbuild.build.stat_cache import StatCache
from modelbuild.build.store import Blob, Store
from modelbuild.errors import ModelbuildError

LOCK = "lock"


class State(NamedTuple):
    """Everything the builder remembers. Only who holds the lock opens it writable."""

    root: Path
    folder: Path
    stat_cache: StatCache
    store: Store
    records: Records
    history: History
    published: Published
    turn: bytes  # how often others had the lock before
    walks: Walks
    proven: dict[str, Mapping[str, Blob]]  # key -> outputs, all there and right

    @property
    def scratch(self) -> Path:
        """Where private files and folders are made; emptied when a build begins."""
        return self.folder / "work"

    def place(self, path: str) -> str:
        """A path relative to the root, as text; one that lies elsewhere as it is."""
        return os.path.join(self.root, path)  # noqa: PTH118 - pathlib takes longer than the system

    def save(self) -> None:
        """Keeps what only saves work; a disk that refuses costs reading files again, never truth."""
        with Shielded():
            with contextlib.suppress(ModelbuildError):
                self.stat_cache.save()
            with contextlib.suppress(ModelbuildError):
                self.history.compact()


def open_state(root: Path, folder: Path, writable: bool, turn: bytes = b"") -> State:
    """Reads the state. Raises ModelbuildError (exit 1) if the disk cannot be read."""
    scratch = folder / "work"
    if writable:
        for left in disk.names(scratch):  # by a build that was killed
            with contextlib.suppress(ModelbuildError):
                disk.remove(scratch / left)
    stat_cache = StatCache(folder / "stat_cache", scratch, Clock(str(folder) if writable else None))
    return State(
        root=root,
        folder=folder,
        stat_cache=stat_cache,
        store=Store(folder, scratch, stat_cache, writable),
        records=Records(folder / "records", scratch, writable),
        history=History(folder / "history.jsonl", scratch),
        published=Published(folder / "published.json", scratch, root),
        turn=turn,
        walks=Walks(),
        proven={},
    )
