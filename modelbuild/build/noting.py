"""Verdicts, noted as they fall: for `why`, and for the snapshot of what a build rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from modelbuild.build.action import Action
from modelbuild.build.history import Entry
from modelbuild.build.remember import Fact
from modelbuild.build.result import Outcome
from modelbuild.build.state import State
from modelbuild.build.verdict import Settled, Verdict, judge


def judge_and_note(
    action: Action, outcomes: Mapping[str, Outcome], *, state: State, retry: bool, facts: dict[str, Fact]
) -> Verdict:
    """The verdict; a result found under another key than the last is noted, so that `why` can tell of it."""
    verdict = judge(action, outcomes, state, retry)
    fact = Fact.of(verdict)
    if fact is not None:
        facts[action.name] = fact
    if isinstance(verdict, Settled) and verdict.key is not None:
        last = state.history.get(action.name)
        if last is None or last.key != verdict.key:
            outcome: Literal["cached", "failed"] = "failed" if verdict.outcome.broken else "cached"
            reason: Literal["changed", "new"] = "changed" if last else "new"
            state.history.add(Entry(action.name, verdict.key, last.key if last else None, outcome, reason))
    return verdict
