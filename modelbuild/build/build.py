"""The builder's front door: build, look, explain, publish, clean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build import disk
from modelbuild.build.action import OFFLINE, Action
from modelbuild.build.holding import Holding
from modelbuild.build.noting import judge_and_note
from modelbuild.build.plan import plan
from modelbuild.build.recall import Recalled
from modelbuild.build.remember import Done, Fact, Product, changed, remember, trust
from modelbuild.build.result import BuildResult, Observer, Outcome, summarise
from modelbuild.build.resume import Resumption, resume
from modelbuild.build.scheduler import Meanwhile, Runner, Scheduler
from modelbuild.build.state import State, open_state
from modelbuild.build.store import blob_path
from modelbuild.build.verdict import judge
from modelbuild.errors import EXIT_FAILED, ModelbuildError

if TYPE_CHECKING:
    from modelbuild.build.roots import Keys
    from modelbuild.build.survey import ActionStatus, Survey
    from modelbuild.build.why import Explanation


class Builder:
    """Builds actions in the checkout `root`, remembering in `state` (default `root/.modelbuild`).

    `environment` is added to that of the worker processes; it enters no key, so it must not decide what comes
    out. They do not get the variables that `hide` names, save actions that have them among their `secrets`.
    `owner` is for whom products are published, where several share the checkout.
    """

    def __init__(
        self,
        root: Path,
        state: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        owner: str = "",
    ) -> None:
        self._root = root.absolute()
        self._folder = state.absolute() if state else self._root / ".modelbuild"
        self._environment: dict[str, str | None] = dict(environment or {})
        self._owner = owner
        self._holding = Holding(self._root, self._folder)
        self._planned: tuple[str, ...] = ()
        self._done: list[Done] = []

    def hide(self, variables: Iterable[str]) -> None:
        """Keeps variables of the environment, those with secrets, from the workers' environment."""
        self._environment.update(dict.fromkeys(variables))

    @contextmanager
    def hold(self, observer: Observer | None = None) -> Iterator[None]:
        """Keeps the lock over several calls: no other build comes between this one and its publishing."""
        with self._holding.hold(observer):
            yield

    def build(
        self,
        actions: Sequence[Action],
        goals: Sequence[str],
        *,
        given: Mapping[str, Outcome] | None = None,
        jobs: int,
        memory: int | None = None,
        offline: bool = False,
        keep_going: bool = False,
        dry_run: bool = False,
        retry: bool = False,
        observer: Observer | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> BuildResult:
        """Brings the goals, names of actions, up to date with at most `jobs` workers.

        What fails is told in the result. Raises ModelbuildError for a goal that does not exist (exit 2), a
        graph that cannot be built or a state folder that cannot be used (exit 1). After a failure nothing new
        starts, save `always` actions, unless `keep_going`. `retry` runs what failed with these inputs again.
        `offline` tells stages that nothing may be fetched (`OFFLINE` in their environment). `dry_run` runs
        and writes nothing. `given` are known outcomes of actions outside `actions`. `meanwhile` is called
        with the outcomes so far whenever there is nothing to do but to wait for what runs.
        """
        if jobs < 1:
            raise ModelbuildError(f"{jobs} jobs cannot build anything", advice="give 1 or more")
        planned = plan(actions, goals, given or ())
        if dry_run:
            with disk.told(self._folder):
                state = open_state(self._root, self._folder, writable=False)
                look = partial(judge, state=state, retry=retry)
                return summarise(Scheduler(planned, look, observer, keep_going).walk(None))
        network = {OFFLINE: "1"} if offline else {}
        with self._holding.hold(observer) as state, ExitStack() as stack:
            state.stat_cache.forget()

            def open_runner() -> Runner:
                from modelbuild.build.execution import Execution  # subprocess and all that: not for a no-op

                execution = Execution(state, jobs, {**self._environment, **network}, memory)
                stack.callback(execution.end)  # and what is held goes on meanwhile
                return self._holding.open(execution)

            facts: dict[str, Fact] = {}
            look = partial(judge_and_note, state=state, retry=retry, facts=facts)
            outcomes = Scheduler(planned, look, observer, keep_going, given, meanwhile).walk(open_runner)
            self._planned = planned.order
            self._done = [
                Done(planned.actions[name], facts[name], outcome)
                for name, outcome in outcomes.items()
                if name in facts
            ]
            return summarise(outcomes)

    def remember(
        self,
        request: str,
        looked_at: Mapping[str, str],
        began_ns: int,
        products: Sequence[Product],
        told: Any,
        told_of_plan: Any,
    ) -> str:
        """Keeps a snapshot of all that the last build rests on, so that another one can be known to have
        nothing to do; called inside the same `hold`, after publishing. Returns why there is none, if
        something changed meanwhile or the disk refuses, and else nothing.

        `request` names what was asked for. `looked_at` is absolute path -> code of `look` of what the actions
        were planned from, read at `began_ns` of `time.time_ns()` or later. `told` and `told_of_plan` are
        plain values to have again, the latter without ever changing while the plan is the same.
        """
        with self._holding.locked(None) as state:
            try:
                return remember(state, request, self._done, looked_at, began_ns, products, told, told_of_plan)
            except (ModelbuildError, OSError) as error:  # a snapshot only saves time
                return str(error)

    def trust(self, request: str) -> None:
        """Takes the results of the build that is remembered of the request for what they are, where nothing
        about them differs: the next build in this `hold` need not read their records."""
        with self._holding.locked(None) as state:
            trust(state, request)

    def resume(self, request: str, seen: Recalled | None = None) -> Resumption | None:
        """What is to be done again of the build that is remembered of the request; None where that cannot be
        said, and all has to be planned and looked at. To be called inside `hold`. `seen` is what a look found
        just before: if nobody had the lock since, it serves."""
        with self._holding.locked(None) as state:
            return resume(state, request, seen)

    def foresee(self, actions: Iterable[Action]) -> None:
        """Prepares the keys of actions to come, while what they read is being made; inside `hold`."""
        with self._holding.locked(None) as state:
            state.walks.foresee(actions)

    def renew(self, request: str, of: Resumption, products: Mapping[int, Product], told: Any) -> bool:
        """As `remember`, after a build of what was resumed; `products` are those published anew."""
        with self._holding.locked(None) as state, suppress(ModelbuildError, OSError):
            return of.keep(state, request, self._done, products, told)
        return False

    def note(self, keep: Callable[[State, Keys, Sequence[str]], None]) -> None:
        """Calls `keep`, under the lock, with the keys that the last build came to and all that it was for."""
        with self._holding.locked(None) as state:
            keep(state, {one.action.name: one.fact.keys for one in self._done}, self._planned)

    def changed(self) -> list[str]:
        """The files, relative to the root, that are otherwise now than when the last build read them."""
        with self._holding.locked(None) as state:
            return changed(state, self._done)

    def output(self, result: BuildResult, action: str, name: str) -> Path:
        """The read-only file that holds an output. Raises ModelbuildError (exit 1) if there is none."""
        outputs = result.outputs.get(action, {})
        if name not in outputs:
            raise ModelbuildError(
                f"{action} has no output {name}",
                why=f"it has {', '.join(sorted(outputs)) or 'none'}",
                exit_code=EXIT_FAILED,
            )
        return blob_path(self._folder, outputs[name])

    def status(self, actions: Sequence[Action], goals: Sequence[str]) -> dict[str, ActionStatus]:
        """What a build would find for every action that the goals need. Runs and writes nothing."""
        return self._survey(actions, goals).status()

    def why(self, actions: Sequence[Action], name: str) -> Explanation:
        """Why the action ran the last time, and whether and why it would run the next. Runs nothing."""
        return self._survey(actions, [name]).explain(name)

    def log(self, action: str) -> Path:
        """Where the output and the traceback of an action's last run are kept, if it left any."""
        from modelbuild.build.execution import log_path

        return log_path(self._folder, action)

    def check_places(self, destinations: Iterable[Path]) -> None:
        """Raises ModelbuildError (exit 1) if one cannot be published to: no folder is in its place."""
        from modelbuild.build.publish import check_place

        for destination in destinations:
            check_place(self._root, self._root / destination)

    def publish(self, files: Mapping[str, str], destination: Path) -> bool:
        """Makes the folder `destination` hold exactly `files` (relative path -> digest), at once.

        Returns False, and touches nothing, if it already does. Raises ModelbuildError (exit 1) if a stored
        file is damaged or the disk refuses; `destination` is then as it was.
        """
        from modelbuild.build.publish import publish

        with self._holding.locked(None) as state:
            return publish(state, files, self._root / destination, self._owner)

    def owner(self, destination: Path) -> str:
        """For whom the folder `destination`, relative to the root, was published; nothing if it was not."""
        with self._holding.locked(None) as state:
            return state.published.owner(self._root / destination)

    def withdraw(self, destination: Path, stale: Path) -> bool:
        """Moves the folder `destination` to `stale`, over an older one; False if there is none."""
        from modelbuild.build.publish import withdraw

        with self._holding.locked(None) as state:
            return withdraw(state, self._root / destination, self._root / stale)

    def superseded(self, current: Iterable[Path], below: Path) -> tuple[Path, ...]:
        """The folders directly in `below` that were published for this owner, are there, and are not among
        the `current`; all relative to the root."""
        from modelbuild.build.publish import superseded

        with self._holding.locked(None) as state:
            kept = {self._root / folder for folder in current}
            found = superseded(state, self._owner, kept, self._root / below)
            return tuple(folder.relative_to(self._root) for folder in found)

    def clean(self, observer: Observer | None = None) -> tuple[Path, ...]:
        """Forgets everything, and removes the folders that were published or withdrawn, which it returns.

        Waits for a build that is running; the lock file stays, for others may wait for it. Files that the
        builder has not made stay, and so do their folders. Not to be called inside `hold`.
        """
        return self._holding.clean(observer)

    def _survey(self, actions: Sequence[Action], goals: Sequence[str]) -> Survey:
        from modelbuild.build.survey import Survey

        with disk.told(self._folder):
            return Survey(plan(actions, goals), open_state(self._root, self._folder, writable=False))
