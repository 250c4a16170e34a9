"""The lock and the state behind it, over one call of the builder or several; what runs in it ends in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelbuild.build import disk, interrupts, lock
from modelbuild.build.result import Event, Observer
from modelbuild.build.state import LOCK, State, open_state
from modelbuild.errors import ModelbuildError

if TYPE_CHECKING:
    from modelbuild.build.execution import Execution


class Holding:
    """The state in `folder` of the checkout `root`."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._state: State | None = None
        self._last: State | None = None  # kept: what ends with the program need not be taken apart before
        self._opened: list[Execution] = []

    @contextmanager
    def hold(self, observer: Observer | None) -> Iterator[State]:
        """Keeps the lock, and at the end waits for all that was opened within; inside another, that does."""
        if self._state is not None:
            yield self._state
            return
        with self.locked(observer) as state:
            self._state = state
            try:
                yield state
            finally:
                self._state = None

    def open(self, execution: Execution) -> Execution:
        """Begins it; to be called inside `hold`."""
        interrupts.owe(execution.close)
        self._opened.append(execution)
        return execution.open()

    @contextmanager
    def locked(self, observer: Observer | None) -> Iterator[State]:
        """The state, which may be written to: what is held, or under a lock of its own."""
        if self._state is not None:
            yield self._state
            return
        with disk.told(self._folder), lock.held(self._folder / LOCK, _waiting(observer)) as held:
            state = self._last = open_state(self._root, self._folder, writable=True, turn=held.turn())
            try:
                yield state
            except (ModelbuildError, OSError):
                held.check()  # if it is lost, all else follows from that
                raise
            finally:
                try:
                    if not held.is_lost:
                        state.save()  # while what was opened comes to its end
                finally:
                    self._close()
            held.check()

    def _close(self) -> None:
        """Waits for all that was opened."""
        while self._opened:
            interrupts.settle(self._opened[-1].close)
            self._opened.pop()

    def clean(self, observer: Observer | None) -> tuple[Path, ...]:
        """Removes what was published, which it returns, and all of the state but the lock's file: others may
        wait for it. Not to be called inside `hold`."""
        from modelbuild.build.publish import remove

        assert self._state is None, "what is being held cannot be cleaned"
        with disk.told(self._folder):
            if not self._folder.is_dir():
                return ()
        with disk.told(self._folder), lock.held(self._folder / LOCK, _waiting(observer)) as held:
            held.turn()
            removed = remove(open_state(self._root, self._folder, writable=False))
            for path in sorted(self._folder.iterdir()):
                if path.name != LOCK:
                    disk.remove(path)
            return removed


def _waiting(observer: Observer | None) -> Callable[[], None]:
    return lambda: observer(Event("waiting")) if observer else None
