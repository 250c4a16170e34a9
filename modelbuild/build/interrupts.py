"""Signals that end a build: orderly, through an exception that waits while things are put away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

# SIGINT last: its handler may raise as soon as it is back, and by then the others are
_ENDING = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGTERM", "SIGINT") if hasattr(signal, name))
_IMPATIENT = 3  # the signal at which nothing is waited for any more
_received: list[int] = []


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end; `exit_code` is 128 + its number, as shells have it: 130 for Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(signal.Signals(number).name)


@contextmanager
def handled() -> Iterator[None]:
    """For a program's main function: within, the first signal raises Interrupted.

    The second changes nothing, for many send two: a terminal and `make` above us. The third ends the process
    on the spot; the guard kills the workers then. Once one was received they stay so for the program's last
    steps, when a handler that raises would show a traceback. Signals that the caller ignores (nohup, jobs in
    the background) stay ignored.
    """
    before = {number: signal.getsignal(number) for number in _ENDING}
    _received.clear()
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, _raise_first)
        yield
    finally:
        if not _received:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Holds back what the signals raise until the end of the block. For what must be done whole, and is short
    or bounded: it is not for anything that waits for a stage."""
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)
        if before[number] is _raise_first and len(_received) + len(held) >= _IMPATIENT:
            os._exit(128 + number)

    before: dict[int, Callable[[int, FrameType | None], Any]] = {}
    try:
        with suppress(ValueError):  # only the main thread handles signals; another is never disturbed
            for number in reversed(_ENDING):
                handler = signal.getsignal(number)
                if callable(handler):
                    before[number] = handler
                    signal.signal(number, hold)
        yield
    finally:
        with suppress(ValueError):
            for number in reversed(before):
                signal.signal(number, before[number])
        for number in held:
            before[number](number, None)


def _raise_first(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    if len(_received) >= _IMPATIENT:
        os._exit(128 + number)
    if len(_received) == 1:
        raise Interrupted(number)
