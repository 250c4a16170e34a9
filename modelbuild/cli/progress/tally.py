"""What a build has done and what it has yet to do, counted from its events; how long that may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from modelbuild.build.result import Event


@dataclass
class Running:
    """An action under way. Times are in seconds of the build."""

    action: str
    started: float
    step: int = 0
    steps: int = 0
    what: str = ""

    def left(self, now: float, expected: float | None) -> float | None:
        """Seconds to go: from its own pace where it tells how far it is, else from earlier runs."""
        spent = now - self.started
        if 0 < self.step <= self.steps:
            return spent * (self.steps - self.step) / self.step
        return None if expected is None else max(0.0, expected - spent)


class Tally:
    """`earlier` gives action -> seconds of its last run, `names` the actions of the build; both are
    asked for when the first action runs."""

    def __init__(
        self, earlier: Callable[[], Mapping[str, float]], names: Callable[[], Sequence[str]]
    ) -> None:
        self.states: Counter[str] = Counter()
        self.running: dict[str, Running] = {}
        self.took: dict[str, float] = {}
        self.done = self.total = 0
        self.lanes = 1
        self._load = earlier
        self._earlier: Mapping[str, float] = {}
        self._names = names
        self._pending: set[str] | None = None
        self._finished: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Takes note of an event."""
        if event.kind == "waiting":
            return
        self.done, self.total = event.done, event.total
        if event.worker is not None:
            self.lanes = max(self.lanes, event.worker + 1)
        if event.kind == "started":
            self.running[event.action] = Running(event.action, event.seconds)
            if self._pending is None:
                self._earlier = self._load()
                self._pending = set(self._names()) - self._finished
        elif event.kind == "progress" and event.action in self.running:
            running = self.running[event.action]
            running.step, running.steps, running.what = event.step, event.steps, event.what
        elif event.kind == "finished":
            self._finish(event)

    def _finish(self, event: Event) -> None:
        self._finished.add(event.action)
        if self._pending is not None:
            self._pending.discard(event.action)
        self.states[event.state or ""] += 1
        running = self.running.pop(event.action, None)
        if running is not None and event.state == "run":
            self.took[event.action] = event.seconds - running.started

    def left(self, now: float) -> float | None:
        """Seconds until the end, if all that is not done must run; None where some of it is unknown."""
        if self._pending is None or len(self._pending) != self.total - self.done:
            return None
        of_stage = self._by_stage()
        under_way = self.running.copy()  # another thread draws while this one counts
        running = [one.left(now, self._expected(name, of_stage)) for name, one in under_way.items()]
        waiting = [self._expected(name, of_stage) for name in self._pending - under_way.keys()]
        known = [seconds for seconds in (*running, *waiting) if seconds is not None]
        if len(known) < len(running) + len(waiting):
            return None
        return max(sum(known) / self.lanes, max((one for one in running if one is not None), default=0.0))

    def _expected(self, name: str, of_stage: Mapping[str, float]) -> float | None:
        if name in self._earlier:
            return self._earlier[name]
        return of_stage.get(_stage(name))

    def _by_stage(self) -> dict[str, float]:
        """The mean seconds of each stage, of runs before and now."""
        found: dict[str, list[float]] = {}
        for name, seconds in {**self._earlier, **self.took}.items():
            found.setdefault(_stage(name), []).append(seconds)
        return {stage: sum(times) / len(times) for stage, times in found.items()}


def _stage(action: str) -> str:
    return action.rsplit(":", 1)[-1]
