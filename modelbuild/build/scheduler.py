"""Walks a plan: settles what is known, runs what is not, as many at a time as there are workers."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from modelbuild.build.action import Action
from modelbuild.build.plan import Plan
from modelbuild.build.result import Advanced, Ended, Event, Observer, Outcome
from modelbuild.build.verdict import MustDiscover, MustRun, Settled, Verdict, not_built
from modelbuild.errors import ModelbuildError

Judge = Callable[[Action, Mapping[str, Outcome]], Verdict]


class Runner(Protocol):
    """Runs what must be run. `start` is called only while there is room."""

    @property
    def has_room(self) -> bool:
        """Whether another action can start now."""

    def start(self, action: Action, todo: MustRun | MustDiscover) -> int:
        """Begins to run an action or its discovery; the number of the worker that does."""

    def wait(self) -> list[Ended | Advanced]:
        """Blocks until something ended or told how far it is."""


class Scheduler:
    """One walk over a plan. `given` are the outcomes that are known of actions outside it."""

    def __init__(
        self,
        plan: Plan,
        judge: Judge,
        observer: Observer | None,
        keep_going: bool,
        given: Mapping[str, Outcome] | None = None,
    ) -> None:
        self._plan = plan
        self._judge = judge
        self._observer = observer
        self._keep_going = keep_going
        self._order = plan.order
        self._position = {name: index for index, name in enumerate(self._order)}
        self._waiting = {name: len(plan.dependencies[name]) for name in self._order}
        self._ready = [index for name, index in self._position.items() if not self._waiting[name]]
        self._todo: list[tuple[int, MustRun | MustDiscover]] = []
        self._claims: dict[str, list[int]] = {}  # key that runs or is about to -> others that want it
        self._claimed: dict[str, str] = {}  # name -> the key it claims
        self._started: set[str] = set()
        self._began = time.monotonic()
        self._outcomes = dict(given or {})
        self._total = len(self._order) + len(self._outcomes)
        self._failed = ""  # the first that failed, where the rest must not start any more

    def walk(self, open_runner: Callable[[], Runner] | None) -> dict[str, Outcome]:
        """The outcome of every action, in topological order.

        The runner is opened when the first action must run; with None such actions end as `would_run`.
        """
        runner: Runner | None = None
        running = 0
        while self._ready or self._todo or running:
            while self._ready:
                self._examine(self._order[heapq.heappop(self._ready)], open_runner is None)
            if self._todo and runner is None and open_runner is not None:
                runner = open_runner()
            if runner is None:
                continue
            while self._todo and runner.has_room:
                running += self._start(runner)
            if running and not self._ready:
                for heard in runner.wait():
                    running -= self._heard(heard)
        return {name: self._outcomes[name] for name in self._order}

    def _examine(self, name: str, dry: bool) -> None:
        verdict = self._judge(self._plan.actions[name], self._outcomes)
        if isinstance(verdict, Settled):
            self._settle(name, verdict.outcome, key=verdict.key or "")
        elif dry:
            self._settle(name, Outcome("would_run"))
        elif verdict.key in self._claims:  # what is being made under this very key will do for both
            self._claims[verdict.key].append(self._position[name])
        else:
            self._claims[verdict.key] = []
            self._claimed[name] = verdict.key
            heapq.heappush(self._todo, (self._position[name], verdict))

    def _release(self, name: str) -> None:
        key = self._claimed.pop(name, None)
        if key is not None:
            for position in self._claims.pop(key):
                heapq.heappush(self._ready, position)

    def _start(self, runner: Runner) -> int:
        position, todo = heapq.heappop(self._todo)
        name = self._order[position]
        if self._failed and not self._plan.actions[name].always:
            error = not_built(name, f"the build stopped when {self._failed} failed")
            self._settle(name, Outcome("skipped", error=error, cause=self._failed))
            return 0
        try:
            worker = runner.start(self._plan.actions[name], todo)
        except ModelbuildError as error:
            self._settle(name, Outcome("failed", error=error))
            return 0
        if name not in self._started:  # a discovery comes before the run
            self._started.add(name)
            self._tell("started", name, worker=worker, key=todo.key)
        return 1

    def _heard(self, heard: Ended | Advanced) -> int:
        """How many ended."""
        if isinstance(heard, Advanced):
            about = {"step": heard.step, "steps": heard.steps, "what": heard.what, "worker": heard.worker}
            self._tell("progress", heard.name, **about)
            return 0
        if heard.outcome is None:
            self._release(heard.name)
            heapq.heappush(self._ready, self._position[heard.name])
        else:
            about = {"worker": heard.worker, "peak_bytes": heard.peak_bytes, "key": heard.key}
            self._settle(heard.name, heard.outcome, **about)
        return 1

    def _settle(self, name: str, outcome: Outcome, **about: Any) -> None:
        self._outcomes[name] = outcome
        self._release(name)
        stops = not self._keep_going and not self._plan.actions[name].always
        if outcome.state == "failed" and stops and not self._failed:
            self._failed = name
        for reader in self._plan.dependents[name]:
            self._waiting[reader] -= 1
            if not self._waiting[reader]:
                heapq.heappush(self._ready, self._position[reader])
        self._tell("finished", name, state=outcome.state, error=outcome.error, **about)

    def _tell(self, kind: Literal["started", "progress", "finished"], name: str, **about: Any) -> None:
        if self._observer is not None:
            seconds = time.monotonic() - self._began
            done, total = len(self._outcomes), self._total
            self._observer(Event(kind, name, done=done, total=total, seconds=seconds, **about))
