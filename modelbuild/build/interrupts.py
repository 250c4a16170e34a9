"""Signals that end a build: orderly, through an exception that waits while things are put away."""

# This is imported before everything else by the command, so it imports next to nothing itself.
from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any

    Handler = Callable[[int, FrameType | None], Any]

# SIGINT last: its handler may raise as soon as it is back, and by then the others are
_ENDING = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGTERM", "SIGINT") if hasattr(signal, name))
_IMPATIENT = 3  # the signal at which nothing is waited for any more
SOON = 0.001  # seconds
_received: list[int] = []
_shields: list[Shielded] = []  # those entered
_owed: list[Callable[[], None]] = []  # ends that are still to come


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end; `exit_code` is 128 + its number, as shells have it: 130 for Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.exit_code = 128 + number
        super().__init__(signal.Signals(number).name)


def dropped() -> KeyboardInterrupt:
    """The interrupt that a library has dropped which only says that there was a signal."""
    return Interrupted(_received[0]) if _received else KeyboardInterrupt()


def hung_up() -> KeyboardInterrupt:
    """The interrupt of a terminal that has gone, for whoever meets it before its signal comes; the signal
    changes nothing then."""
    if not _received:
        _received.append(int(signal.SIGHUP))
    return Interrupted(_received[0])


def owe(end: Callable[[], None]) -> None:
    """`end`, which may be called twice, comes when `settle` is called, or else when `Handled` is left: the
    one signal that raises may do so as the first thing in whatever would have called it."""
    _owed.append(end)


def settle(end: Callable[[], None]) -> None:
    """Calls an `end` that is owed, or was."""
    end()
    if end in _owed:
        _owed.remove(end)


class Handled:
    """For a program's main function: within, the first signal raises Interrupted.

    The second changes nothing, for many send two: a terminal and `make` above us. The third ends the process
    on the spot; the guard kills the workers then. Once one was received they stay so for the program's last
    steps, when a handler that raises would show a traceback. Signals that the caller ignores (nohup, jobs in
    the background) stay ignored. Outside the main thread it does nothing.
    """

    def __enter__(self) -> None:
        self._before: dict[int, Any] = {}
        self._hook = sys.unraisablehook
        sys.unraisablehook = self._raise_again
        _received.clear()
        try:
            for number in _ENDING:
                handler = signal.getsignal(number)
                if handler is not signal.SIG_IGN:
                    signal.signal(number, _raise_first)
                    self._before[number] = handler
        except ValueError:  # only the main thread handles signals; others are never disturbed
            return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in _owed[::-1]:
            settle(end)
        sys.unraisablehook = self._hook
        if _received and isinstance(error, Exception):  # met while putting away: no terminal
            raise Interrupted(_received[0]) from error
        if not _received:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _raise_again(self, lost: sys.UnraisableHookArgs) -> None:
        """Python drops what is raised in a destructor or a weak reference's callback, and signals come there
        too."""
        if not isinstance(lost.exc_value, Interrupted):
            self._hook(lost)
            return
        error = lost.exc_value

        def again(number: int, frame: FrameType | None) -> None:
            if not _shields:
                raise Interrupted(error.number)
            signal.setitimer(signal.ITIMER_REAL, SOON)

        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, SOON)


class Shielded:
    """Holds back what the signals raise until the end of the block: for what must be done whole, and is short
    or bounded. It is not for what waits for a stage."""

    def __enter__(self) -> None:
        self._held: list[int] = []
        self._before: dict[int, Handler] = {}
        _shields.append(self)
        try:
            for number in reversed(_ENDING):
                handler = signal.getsignal(number)
                if callable(handler):
                    self._before[number] = handler
                    signal.signal(number, self._hold)
        except ValueError:  # not in the main thread
            self._before.clear()
        except BaseException:
            self._restore()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        for number in self._held:
            self._before[number](number, None)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._held.append(number)
        if self._before[number] is _raise_first and len(_received) + len(self._held) >= _IMPATIENT:
            os._exit(128 + number)

    def _restore(self) -> None:
        _shields.remove(self)
        for number in reversed(self._before):
            signal.signal(number, self._before[number])


def _raise_first(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    if len(_received) >= _IMPATIENT:
        os._exit(128 + number)
    if len(_received) == 1:
        raise Interrupted(number)
