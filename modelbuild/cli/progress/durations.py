"""How long actions took in earlier builds: a comfort that lets the time left be told, and decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from modelbuild import whole_file
from modelbuild.build.result import Event

SCHEMA = 1
NAME = "durations.json"
_NOTICED = 0.5  # seconds; a few actions that take so much more or less change no estimate


class Timer:
    """An observer that takes the time of what runs. What is known of earlier builds is read when something
    has begun to run, and there is nothing to do but to wait for it."""

    def __init__(self, state: Path) -> None:
        self.took: dict[str, float] = {}
        self._state = state
        self._known: dict[str, float] | None = None
        self._started: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Takes note of an event."""
        if event.kind == "started":
            if self._known is None:
                self._known = load(self._state)
            self._started[event.action] = event.seconds
        elif event.kind == "finished" and event.action in self._started:
            seconds = event.seconds - self._started.pop(event.action)
            if event.state == "run":
                self.took[event.action] = seconds

    def save(self, planned: Callable[[], Collection[str]] | None) -> None:
        """Adds what ran to what is known of earlier builds, if any of it took another time than then, and
        drops what is not among `planned`, which is asked only for that."""
        known = self._known or {}
        if any(_differ(known.get(action), took) for action, took in self.took.items()):
            save(self._state, {**known, **self.took}, None if planned is None else set(planned()))


def _differ(before: float | None, now: float) -> bool:
    """Whether the time left would be told otherwise."""
    return before is None or abs(before - now) > max(_NOTICED, before / 2)


def load(state: Path) -> dict[str, float]:
    """Action -> seconds of its last run; empty where nothing can be read."""
    try:
        content = json.loads((state / NAME).read_bytes())
        if content["schema"] != SCHEMA:
            return {}
        return {
            str(action): float(seconds)
            for action, seconds in content["seconds"].items()
            if isinstance(seconds, (int, float)) and 0 <= seconds < 1e9
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def save(state: Path, known: Mapping[str, float], planned: Collection[str] | None) -> None:
    """Keeps the durations of the actions in `planned`; of all, if it is None. A disk that refuses costs an
    estimate only."""
    kept = {
        name: round(took, 3) for name, took in sorted(known.items()) if planned is None or name in planned
    }
    with suppress(OSError), whole_file.replacing(state / NAME) as private:
        private.write_text(json.dumps({"schema": SCHEMA, "seconds": kept}), encoding="utf-8")
