"""Progress as lines, for pipes, log files and CI: one an event that matters, no control characters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Self

from modelbuild.build.result import Event
from modelbuild.cli.console import duration

PATIENCE = 5.0  # seconds between two lines of an action that runs
EAGER = 1.0  # the same with -v
SILENCE = 60.0  # seconds after which whoever reads a log asks whether the build still lives
WORTH_TELLING = 1.0  # seconds; shorter runs are told without their time
WORDS = {"run": "ran", "would_run": "would run"}


class Plain:
    """An observer that writes lines by `write`; with `verbose` one for every event."""

    def __init__(self, write: Callable[[str], None], verbose: bool = False) -> None:
        self._write = write
        self._verbose = verbose
        self._patience = EAGER if verbose else PATIENCE
        self._started: dict[str, float] = {}  # what runs -> when it started, in seconds of the build
        self._told: dict[str, float] = {}  # what runs -> when it last had a line
        self._quarter: dict[str, int] = {}
        self._unseen = 0  # cached actions since the last line
        self._watch: _Watch | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *found: Any) -> None:
        if self._watch is not None:
            self._watch.stop()

    def __call__(self, event: Event) -> None:
        """Writes what the event is worth."""
        KINDS[event.kind](self, event)

    def _waiting(self, event: Event) -> None:
        self._write("waiting for another modelbuild in this folder")

    def _count(self, event: Event) -> str:
        """How many are done; those that had no line of their own since the last one are told with it."""
        unseen = f" ({self._unseen} cached)" if self._unseen else ""
        self._unseen = 0
        return f"[{event.done}/{event.total}]{unseen}"

    def _start(self, event: Event) -> None:
        self._started[event.action] = self._told[event.action] = event.seconds
        if self._verbose:
            self._write(f"[{event.done}/{event.total}] started {event.action}")
        if self._watch is None:
            self._watch = _Watch(self.remind, event.seconds)

    def _progress(self, event: Event) -> None:
        """A line where a quarter of a long action is passed."""
        quarter = 4 * event.step // event.steps if event.steps > 0 else 0
        waited = event.seconds - self._told.get(event.action, event.seconds) >= self._patience
        passed = quarter > self._quarter.get(event.action, 0) or self._verbose
        if waited and passed and event.step < event.steps:
            self._quarter[event.action] = quarter
            self._told[event.action] = event.seconds
            self._write(
                f"[{event.done}/{event.total}] {event.action}  {event.what} {event.step}/{event.steps}"
            )

    def _finish(self, event: Event) -> None:
        started = self._started.pop(event.action, None)
        self._told.pop(event.action, None)
        self._quarter.pop(event.action, None)
        if event.state in ("run", "failed") or self._verbose:
            took = 0.0 if started is None else event.seconds - started
            time = f" in {duration(took)}" if took >= WORTH_TELLING else ""
            word = WORDS.get(event.state or "", event.state)
            self._write(f"{self._count(event)} {word} {event.action}{time}")
        elif event.state == "cached":
            self._unseen += 1

    def remind(self, now: float) -> None:
        """A line for each action that has run for long without one. `now` is in seconds of the build."""
        for action, told in sorted(self._told.copy().items()):
            started = self._started.get(action)
            if started is not None and now - told >= SILENCE:
                self._told[action] = now
                self._write(f"still running {action}, for {duration(now - started)}")


KINDS: dict[str, Callable[[Plain, Event], None]] = {
    "waiting": Plain._waiting,
    "started": Plain._start,
    "progress": Plain._progress,
    "finished": Plain._finish,
}


class _Watch:
    """Calls `remind` now and then, for a stage may have nothing to say for an hour."""

    def __init__(self, remind: Callable[[float], None], now: float) -> None:
        self._remind = remind
        self._origin = monotonic() - now
        self._stopped = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="reminder").start()

    def _run(self) -> None:
        while not self._stopped.wait(SILENCE / 4):
            self._remind(monotonic() - self._origin)

    def stop(self) -> None:
        """Reminds no more."""
        self._stopped.set()
