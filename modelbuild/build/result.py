"""What became of the actions of one build, and the events told while it ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from modelbuild.build.store import Blob
from modelbuild.errors import ModelbuildError

ActionState = Literal["run", "cached", "failed", "skipped", "would_run"]


class Outcome(NamedTuple):
    """How one action ended. `cause` is the action that made it `skipped`, or the one it must wait for."""

    state: ActionState
    outputs: Mapping[str, Blob] = {}
    error: ModelbuildError | None = None
    cause: str = ""

    @property
    def broken(self) -> bool:
        """Whether readers of its outputs find none."""
        return self.state in ("failed", "skipped")


class Event(NamedTuple):
    """`waiting` is for another build's lock; `started`, `progress` and `finished` are an action's.

    `done` of `total` actions are settled. `seconds` have passed since the build began. `worker` counts from 0
    and is known of what runs or ran. `step` of `steps` is how far `progress` is, in units of `what`.
    `peak_bytes` is the most memory that the action's process took, known of those that ran; `key` is the
    action's, where its inputs allowed one.
    """

    kind: Literal["waiting", "started", "progress", "finished"]
    action: str = ""
    state: ActionState | None = None
    error: ModelbuildError | None = None
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    worker: int | None = None
    step: int = 0
    steps: int = 0
    what: str = ""
    peak_bytes: int | None = None
    key: str = ""


Observer = Callable[[Event], None]


class Ended(NamedTuple):
    """What a runner says of an action that ended; `outcome` is None where only its discovery did."""

    name: str
    outcome: Outcome | None
    worker: int | None = None
    peak_bytes: int | None = None
    key: str = ""


class Advanced(NamedTuple):
    """What a runner says of an action that is under way."""

    name: str
    worker: int
    step: int
    steps: int
    what: str


class BuildResult(NamedTuple):
    """Every action that the goals needed, in topological order.

    `outputs` is action -> output name -> SHA-256, for actions that ran or were cached. `failures` holds those
    that failed, not those skipped because of them.
    """

    states: Mapping[str, ActionState]
    outputs: Mapping[str, Mapping[str, str]]
    failures: tuple[tuple[str, ModelbuildError], ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing was skipped."""
        return not any(state in ("failed", "skipped") for state in self.states.values())

    @property
    def counts(self) -> dict[ActionState, int]:
        """How many actions ended in each state; every state is present."""
        found = Counter(self.states.values())
        every: tuple[ActionState, ...] = ("run", "cached", "failed", "skipped", "would_run")
        return {state: found[state] for state in every}


def summarise(outcomes: Mapping[str, Outcome]) -> BuildResult:
    """The result of a build from the outcomes in topological order."""
    return BuildResult(
        states={name: outcome.state for name, outcome in outcomes.items()},
        outputs={
            name: {output: blob.digest for output, blob in outcome.outputs.items()}
            for name, outcome in outcomes.items()
            if outcome.state in ("run", "cached")
        },
        failures=tuple(
            (name, outcome.error)
            for name, outcome in outcomes.items()
            if outcome.state == "failed" and outcome.error is not None
        ),
    )
