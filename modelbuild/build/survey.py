"""What the next build would do, and why: a walk over the plan that runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from modelbuild.build.action import DISCOVERED, Action
from modelbuild.build.key import Fields, rows_of
from modelbuild.build.key import fields as fields_of
from modelbuild.build.plan import Plan
from modelbuild.build.result import Outcome
from modelbuild.build.scheduler import Scheduler
from modelbuild.build.state import State
from modelbuild.build.verdict import MustDiscover, MustRun, Settled, Verdict, digests_of, file_input, judge
from modelbuild.build.why import Explanation, Reason, changed, explain_last, found_path, shared
from modelbuild.errors import ModelbuildError


@dataclass(frozen=True)
class ActionStatus:
    """`unknown` means that the action waits for another, which is named, before anyone can say."""

    state: Literal["up to date", "out of date", "failed", "unknown"]
    waits_for: str = ""

    def __str__(self) -> str:
        return f"unknown (waits for {self.waits_for})" if self.waits_for else self.state


class Survey:
    """The verdict and outcome of every action of a plan, were it built now."""

    def __init__(self, plan: Plan, state: State) -> None:
        self._plan = plan
        self._state = state
        self._verdicts: dict[str, Verdict] = {}
        self._outcomes = Scheduler(plan, self._judge, None, keep_going=True).walk(None)

    def status(self) -> dict[str, ActionStatus]:
        """The status of every action, in topological order."""
        return {name: _status(outcome) for name, outcome in self._outcomes.items()}

    def explain(self, name: str) -> Explanation:
        """Why the action ran the last time and what the next build does with it."""
        last, entry = explain_last(self._plan.actions[name], self._state)
        return Explanation(name, last, entry.outcome if entry else None, self._next(name))

    def _judge(self, action: Action, outcomes: Mapping[str, Outcome]) -> Verdict:
        verdict = self._verdicts[action.name] = judge(action, outcomes, self._state, retry=False)
        return verdict

    def _next(self, name: str) -> Reason:
        verdict = self._verdicts[name]
        if isinstance(verdict, Settled):
            return self._next_settled(name, verdict)
        action = self._plan.actions[name]
        if isinstance(verdict, MustRun) and verdict.reason == "damaged":
            return Reason("damaged")
        entry = self._state.history.get(name)
        if entry is None:
            return Reason("never built")
        record = self._state.records.get(entry.key)
        if record is None:
            return Reason("unknown")
        if isinstance(verdict, MustRun):
            fields = rows_of(verdict.fields)
        else:
            fields = self._presumed(action, verdict, record.fields)
        return changed(action, record.fields, fields, self._state)

    def _next_settled(self, name: str, verdict: Settled) -> Reason:
        outcome = verdict.outcome
        if outcome.state == "cached":
            assert verdict.key is not None
            known = self._state.history.get(name) is not None
            return Reason("up to date") if known else shared(verdict.key, self._state)
        if outcome.state == "failed":
            return Reason("failed", message=str(outcome.error))
        root = outcome.cause
        while self._outcomes[root].state == "would_run" and self._outcomes[root].cause:
            root = self._outcomes[root].cause
        return Reason("waits", waits_for=root, waits_because=self._next(root))

    def _presumed(self, action: Action, verdict: MustDiscover, old: Fields) -> Fields:
        """The fields as they would be if the same files were found again."""
        digests = digests_of(verdict.inputs)
        for path, _ in old:
            role = str(path[-1])
            if path[0] == "inputs" and role.startswith(DISCOVERED):
                try:
                    digests[role] = file_input(found_path(action, role), self._state).digest
                except ModelbuildError:
                    continue  # it is gone, and the explanation says "removed"
        return fields_of(action, digests)


def _status(outcome: Outcome) -> ActionStatus:
    if outcome.state == "would_run":
        return ActionStatus("unknown", outcome.cause) if outcome.cause else ActionStatus("out of date")
    states: Mapping[str, ActionStatus] = {
        "cached": ActionStatus("up to date"),
        "failed": ActionStatus("failed"),
        "skipped": ActionStatus("unknown", outcome.cause),
    }
    return states[outcome.state]
