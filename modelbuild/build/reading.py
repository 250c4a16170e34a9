"""Which files of the user's some goals rest on, found ones included, so far as is known without running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelbuild.build.action import Action
from modelbuild.build.plan import plan
from modelbuild.build.result import Outcome
from modelbuild.build.scheduler import Scheduler
from modelbuild.build.state import open_state
from modelbuild.build.verdict import Verdict, judge


def files_read(root: Path, state_folder: Path, actions: Sequence[Action], goals: Sequence[str]) -> set[str]:
    """Paths relative to `root`. Raises ModelbuildError as `plan` does, and exit 1 if the disk refuses."""
    state = open_state(root, state_folder, writable=False)
    found: set[str] = set()

    def look(action: Action, outcomes: Mapping[str, Outcome]) -> Verdict:
        verdict = judge(action, outcomes, state, retry=False)
        found.update(one.label for one in verdict.inputs.values() if one.label is not None)
        return verdict

    Scheduler(plan(actions, goals), look, None, keep_going=True).walk(None)
    return found
