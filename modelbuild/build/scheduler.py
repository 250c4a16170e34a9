"""Walks a plan: settles what is known, runs what is not, as many at a time as there are workers."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from modelbuild.build.action import Action
from modelbuild.build.plan import Plan
from modelbuild.build.queue import Queue, Waiting
from modelbuild.build.result import Advanced, Ended, Event, Observer, Outcome
from modelbuild.build.room import memory_of
from modelbuild.build.verdict import MustDiscover, MustRun, Settled, Verdict, not_built
from modelbuild.errors import ModelbuildError

AHEAD = 64  # how many that must run are sought while none can start; each verdict takes memory

Judge = Callable[[Action, Mapping[str, Outcome]], Verdict]
Meanwhile = Callable[[Mapping[str, Outcome]], object]


class Runner(Protocol):
    """Runs what must be run. `start` is called only for what fits."""

    @property
    def has_room(self) -> bool:
        """Whether any action could start now."""

    def fits(self, action: Action, memory: int) -> bool:
        """Whether an action that needs that much can start now; if nothing runs, any can."""

    def start(self, action: Action, todo: MustRun | MustDiscover, memory: int) -> int:
        """Begins to run an action or its discovery; the number of the worker that does."""

    def retire(self) -> None:
        """All that is left runs: more is started only if something has to run once more."""

    def wait(self, block: bool) -> Ended | Advanced | None:
        """The next that ended or told how far it is; None only if nothing has and it shall not `block`."""


class Scheduler:
    """One walk over a plan. `given` are the outcomes that are known of actions outside it; `meanwhile` is
    called with those so far whenever something runs and there is nothing to do but to wait for it."""

    def __init__(
        self,
        plan: Plan,
        judge: Judge,
        observer: Observer | None,
        keep_going: bool,
        given: Mapping[str, Outcome] | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> None:
        self._plan = plan
        self._meanwhile = meanwhile
        self._judge = judge
        self._observer = observer
        self._keep_going = keep_going
        self._order = plan.order
        self._position = {name: index for index, name in enumerate(self._order)}
        self._waiting = {name: len(plan.dependencies[name]) for name in self._order}
        self._ready = [index for name, index in self._position.items() if not self._waiting[name]]
        self._queue = Queue()
        self._claims: dict[str, list[int]] = {}  # key that runs or is about to -> others that want it
        self._claimed: dict[str, str] = {}  # name -> the key it claims
        self._started: set[str] = set()
        self._running = 0
        self._began = time.monotonic()
        self._outcomes = dict(given or {})
        self._total = len(self._order) + len(self._outcomes)
        self._failed = ""  # the first that failed, where the rest must not start any more

    def walk(self, open_runner: Callable[[], Runner] | None) -> dict[str, Outcome]:
        """The outcome of every action, in topological order.

        The runner is opened when the first action must run; with None such actions end as `would_run`.
        """
        runner: Runner | None = None
        while self._ready or self._queue or self._running:
            if runner is None and self._queue and open_runner is not None:
                runner = open_runner()
            if runner is not None and self._start(runner):
                continue
            if self._ready and len(self._queue) < AHEAD:
                self._examine(self._order[heapq.heappop(self._ready)], open_runner is None)
                self._hear(runner, block=False)
            else:
                self._hear(runner, block=True)
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
            action = self._plan.actions[name]
            memory = memory_of(action.resources, {role: found.path for role, found in verdict.inputs.items()})
            self._queue.add(Waiting(self._position[name], action, verdict, memory))

    def _release(self, name: str) -> None:
        key = self._claimed.pop(name, None)
        if key is not None:
            for position in self._claims.pop(key):
                heapq.heappush(self._ready, position)

    def _start(self, runner: Runner) -> bool:
        """Starts an action, or settles one that can not or must not start; whether there was one."""
        if not (self._failed or runner.has_room):
            return False
        found = self._queue.take(lambda one: self._is_stopped(one) or runner.fits(one.action, one.memory))
        if found is None:
            return False
        name = found.action.name
        if self._is_stopped(found):
            error = not_built(name, f"the build stopped when {self._failed} failed")
            self._settle(name, Outcome("skipped", error=error, cause=self._failed))
            return True
        try:
            worker = runner.start(found.action, found.todo, found.memory)
        except ModelbuildError as error:
            self._settle(name, Outcome("failed", error=error))
            return True
        self._running += 1
        if name not in self._started:  # a discovery comes before the run
            self._started.add(name)
            self._tell("started", name, worker=worker, key=found.todo.key)
        return True

    def _is_stopped(self, waiting: Waiting) -> bool:
        return bool(self._failed) and not waiting.action.always

    def _hear(self, runner: Runner | None, block: bool) -> None:
        if block and runner is not None and len(self._outcomes) + self._running == self._total:
            runner.retire()
        if block and self._running and self._meanwhile is not None:
            self._meanwhile(self._outcomes)
        heard = runner.wait(block) if runner is not None and self._running else None
        if isinstance(heard, Advanced):
            about = {"step": heard.step, "steps": heard.steps, "what": heard.what, "worker": heard.worker}
            self._tell("progress", heard.name, **about)
        elif isinstance(heard, Ended):
            self._running -= 1
            if heard.outcome is None:
                self._release(heard.name)
                heapq.heappush(self._ready, self._position[heard.name])
            else:
                about = {"worker": heard.worker, "peak_bytes": heard.peak_bytes, "key": heard.key}
                self._settle(heard.name, heard.outcome, **about)

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
