"""What can go from the store: never what the last builds rest on, and last what was used last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from modelbuild.build import disk, lock, roots
from modelbuild.build.history import History
from modelbuild.build.inventory import WORK, Contents, Held, contents, held_at, size_of

Waiting = Callable[[], None]


@dataclass(frozen=True)
class Collected:
    """What was removed, or would be; `left` is the store's size then, `live` that of what had to stay."""

    records: tuple[Held, ...]
    blobs: tuple[Held, ...]
    waste: tuple[Held, ...]
    left: int
    live: int

    @property
    def freed(self) -> int:
        """Bytes."""
        return size_of((*self.records, *self.blobs, *self.waste))


def collect(
    folder: Path,
    root: Path,
    waiting: Waiting,
    *,
    beside: Sequence[Path] = (),
    max_size: int | None = None,
    older_than: float | None = None,
    dry_run: bool = False,
) -> Collected:
    """Removes waste, and results whose files are not all there; what was last used more than `older_than`
    seconds ago; and then, least recently used first, what is needed for the store to have at most `max_size`
    bytes. Never what the last builds rest on.

    `beside` are other state folders that share the store. Waits for the builds that run in any of them.
    Killed at any instant, it leaves a right state: a record goes before its blobs. Raises ModelbuildError
    (exit 1).
    """
    with locked((folder, *beside), waiting), disk.told(folder):
        roots.check(folder)
        found = contents(folder, root)
        going = _chosen(found, max_size, older_than)
        gone = {held.name for held in going}
        blobs = _unreferenced(found, gone)
        waste = (*found.bad, *_left_over(folder), *_logs(folder, found.records.keys() - gone))
        if not dry_run:
            for held in (*going, *blobs, *waste):
                disk.remove(held.path)
            _forget(folder, root, gone)
        left = found.size - size_of((*going, *blobs))
        return Collected(tuple(going), tuple(blobs), waste, left, found.live_size)


def _chosen(found: Contents, max_size: int | None, older_than: float | None) -> list[Held]:
    """The records that go, in the order in which they go."""
    dead = sorted(
        (held for key, held in found.records.items() if key not in found.live),
        key=lambda held: (held.name not in found.incomplete, found.used[held.name], held.name),
    )
    limit = None if older_than is None else time.time() - older_than
    going = [
        held
        for held in dead
        if held.name in found.incomplete or (limit is not None and found.used[held.name] <= limit)
    ]
    if max_size is None:
        return going
    references: dict[str, int] = {}
    for digests in found.outputs.values():
        for digest in digests:
            references[digest] = references.get(digest, 0) + 1
    left = found.size - size_of(found.blobs[name] for name in found.blobs.keys() - references.keys())

    def without(held: Held) -> int:
        """The bytes that go with the record."""
        freed = held.size
        for digest in found.outputs.get(held.name, ()):
            references[digest] -= 1
            if not references[digest] and digest in found.blobs:
                freed += found.blobs[digest].size
        return freed

    left -= sum(map(without, going))
    for held in dead[len(going) :]:
        if left <= max_size:
            break
        left -= without(held)
        going.append(held)
    return going


def _unreferenced(found: Contents, gone: set[str]) -> list[Held]:
    """The blobs of no record that stays."""
    # Records that cannot be read, for another version wrote them: nobody knows which blobs they need.
    strange = found.records.keys() - found.outputs.keys() - gone
    of_gone = {digest for key in gone for digest in found.outputs.get(key, ())}
    kept = {digest for key, digests in found.outputs.items() if key not in gone for digest in digests}
    return [
        held
        for digest, held in sorted(found.blobs.items())
        if digest not in kept and (digest in of_gone or not strange)
    ]


def _forget(folder: Path, root: Path, gone: set[str]) -> None:
    """What tells of results that are no more: roots of what nobody asks for, times of use."""
    for path, one in roots.read_all(folder).items():
        if one.about.is_live(root):
            roots.forget(path, folder / WORK, one, gone)
        else:
            disk.remove(path)


def _left_over(folder: Path) -> Iterator[Held]:
    """What killed builds left; whoever holds the lock knows that nobody uses it."""
    for path in sorted((folder / WORK).glob("*")):
        yield held_at(path.name, path)


def _logs(folder: Path, keys: Set[str]) -> Iterator[Held]:
    """Logs of actions whose last result is gone."""
    history = History(folder / "history.jsonl", folder / WORK)
    for path in sorted((folder / "logs").glob("*.log")):
        entry = history.get(unquote(path.stem))
        if entry is not None and entry.key not in keys:
            yield held_at(path.name, path)


@contextmanager
def locked(folders: Sequence[Path], waiting: Waiting) -> Iterator[None]:
    """Nobody else writes to the store."""
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(lock.held(folder / "lock", waiting)).turn()
        yield
