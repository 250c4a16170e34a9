"""Files while actions read them: what was written to, or was lost, meanwhile must leave no result."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from modelbuild.build.rows import Signature
from modelbuild.build.state import State
from modelbuild.build.verdict import MustDiscover, MustRun
from modelbuild.errors import EXIT_FAILED, ModelbuildError

Moments = tuple[int, int, int]  # size, mtime_ns, ctime_ns


class Changes:
    """What one build knows of its actions' input files. An action whose file has the bytes that it had, but
    was written to, may have read others in between: it runs once more, and fails if that happens again."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._repeated: dict[str, Mapping[str, Moments]] = {}  # by key

    def disturbed(self, name: str, todo: MustRun | MustDiscover, failure: ModelbuildError | None) -> bool:
        """Whether the action, or its discovery, has to run once more; `failure` is what the stage says.

        Raises ModelbuildError: exit 1 where a file changed or what another action made is gone, 2 where a
        file of the user's is gone.
        """
        written = []
        for role in sorted(todo.inputs):
            one = todo.inputs[role]
            if one.label is None:
                if not self._state.store.still_has(one.digest):
                    raise _lost(one.path, name)
            else:
                now = self._state.stat_cache.look_again(one.label, one.path)
                if now.digest != one.digest:
                    raise _changed(one.label, name)
                if _moments(now.signature) != _moments(one.signature):
                    written.append(one.label)
        return self._repeats(todo.key, written, {}, failure or _rewritten(name, written))

    def digests(
        self, name: str, todo: MustDiscover, found: Iterable[str], began_ns: int
    ) -> dict[str, str] | None:
        """Path -> digest of the files that a discovery found, which began at `began_ns` of `time.time_ns()`;
        None if one is so young that it may have been another when the discovery read it. What is found then
        counts if the file is the same before and after. Raises as `disturbed`."""
        cache, place = self._state.stat_cache, self._state.place
        before = {path: _moments(one.signature) for path, one in todo.known.items()}
        before.update(self._repeated.get(todo.key, {}))
        digests, seen, doubtful = {}, {}, []
        for path in found:
            now = cache.look_again(path, place(path))
            if now.digest != cache.digest(path, place(path)):
                raise _changed(path, name)
            digests[path], seen[path] = now.digest, _moments(now.signature)
            if before.get(path) != seen[path] and not self._is_older(place(path), began_ns):
                doubtful.append(path)
        return None if self._repeats(todo.key, doubtful, seen, _rewritten(name, doubtful)) else digests

    def _is_older(self, path: str, began_ns: int) -> bool:
        try:
            return self._state.stat_cache.clock.was_settled(os.stat(path), began_ns)  # noqa: PTH116
        except OSError:
            return False

    def _repeats(
        self, key: str, written: Sequence[str], seen: Mapping[str, Moments], at_last: ModelbuildError
    ) -> bool:
        if written and key in self._repeated:
            raise at_last
        if written:
            self._repeated[key] = seen
        return bool(written)


def _moments(signature: Signature) -> Moments:
    """Not the inode's number: some file systems (FUSE) give a file another one after a while."""
    size, mtime, _, ctime = signature
    return size, mtime, ctime


def _changed(label: str, name: str, why: str = "what came out belongs to neither content") -> ModelbuildError:
    return ModelbuildError(
        f"{label} changed while {name} was reading it",
        why=f"{why}, so nothing was kept",
        advice="build again when nothing writes to the file any more",
        exit_code=EXIT_FAILED,
    )


def _lost(path: str, name: str) -> ModelbuildError:
    return ModelbuildError(
        f"{path} was damaged or removed while {name} was reading it",
        why="it is what another action made, and nothing but the builder writes there",
        advice="build again: what made it will run again; if this comes back, check the disk",
        exit_code=EXIT_FAILED,
    )


def _rewritten(name: str, labels: Sequence[str]) -> ModelbuildError:
    why = "it was written to twice, and may have had other bytes for a while"
    return _changed(", ".join(labels[:1]), name, why)
