"""Work that is no build, told as a build's actions are: what runs, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from modelbuild.build.result import Observer

Told = Callable[[int, int, str], None]  # how much is done, of how much, and of what


class Steps:
    """So many steps, one after the other, of which the observer hears as of actions."""

    def __init__(self, observer: Observer | None, total: int) -> None:
        self._observer = observer
        self._total = total
        self._done = 0
        self._origin = monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[Told]:
        """One of them; what it yields is told how far it is."""

        def advance(done: int, total: int, what: str) -> None:
            self._tell("progress", name, step=done, steps=total, what=what)

        self._tell("started", name, worker=0)
        try:
            yield advance
        except BaseException:
            self._tell("finished", name, state="failed", worker=0)
            raise
        self._done += 1
        self._tell("finished", name, state="run", worker=0)

    def _tell(self, kind: Literal["started", "progress", "finished"], name: str, **about: Any) -> None:
        if self._observer is not None:
            from modelbuild.build.result import Event  # not loaded where nobody looks

            seconds = monotonic() - self._origin
            self._observer(Event(kind, name, done=self._done, total=self._total, seconds=seconds, **about))
