"""How far a stage is: told by the stage, passed on by its worker, heard by who watches the build."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
Listener = Callable[[int, int, str], None]
INTERVAL = 0.1  # seconds between two lines to the parent; people read no faster

_listener: Listener | None = None
_told = 0.0
_unit = ""  # of what was told last


def report(step: int, steps: int, what: str) -> None:
    """`step` of `steps` are done, in units of `what`, as in `report(12, 64, "sample")`.

    Does nothing outside a worker.
    """
    global _told, _unit
    listener = _listener  # another thread may take it away
    if listener is None:
        return
    now = time.monotonic()
    if step >= steps or what != _unit or now - _told >= INTERVAL:
        _told, _unit = now, what
        listener(step, steps, what)


def told(items: Iterable[T], done: int, steps: int, what: str) -> Iterator[T]:
    """The items; as each has been dealt with, one step more than `done` of `steps` is reported."""
    report(done, steps, what)
    for index, item in enumerate(items, done + 1):
        yield item
        report(index, steps, what)


def listen(listener: Listener | None) -> None:
    """Passes what is reported from now on to `listener`."""
    global _listener, _told, _unit
    _listener, _told, _unit = listener, 0.0, ""
