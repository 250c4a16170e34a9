"""The search of `mode: auto`: the cheapest choice of 16 bits whose measurement holds the goal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.quantize.goals import MARGIN_DB, OF_OUTPUTS, Held, held
from modelbuild.quantize.mixed_settings import AUTO
from modelbuild.quantize.record import Record

STEP_DB = 0.5  # the least that a target rises, and the resolution of the search
BLIND_DB = 3.0  # by how much it rises at first where nobody knows how far away the goal is; then twice that
TOP_DB = 200.0  # a target above this is everything
ROUNDS = 5  # of bisection, at most
# What was measured of a record, as fixed.json has it: `outputs`, and `accuracy` and `functions` where bounds
# are on them.
Measure = Callable[[Record], Mapping[str, Any]]


@dataclass
class Goal:
    """Bounds of `accept` (`goals.measurable`) and what measures a record. Keeps what was measured.

    `most`: so many measurements, at most; the last of them is of all that may be chosen. `margin_db`: kept in
    hand of bounds on outputs. `samples`: so many are measured on."""

    accept: Mapping[str, Any]
    measure: Measure
    most: int | None = None
    margin_db: float = MARGIN_DB
    samples: int = 0
    measurements: list[tuple[Record, list[Held]]] = field(default_factory=list)

    def held(self, record: Record) -> list[Held]:
        """Measures, and counts as a measurement."""
        found = held(self.accept, self.measure(record), self.margin_db)
        self.measurements.append((record, found))
        return found

    @property
    def left(self) -> float:
        """Measurements that may still be made."""
        return math.inf if self.most is None else self.most - len(self.measurements)

    def first_target(self, lowest: float) -> float:
        """The SNR to predict at first: the least that a bound may need; `lowest` where nobody knows."""
        if self.left == 1:
            return math.inf
        known = [_snr_of(key, bound) for key, bound in self.accept.items()]
        return min(lowest if snr is None else snr + self.margin_db for snr in known)

    def to_json(self, record: Record) -> dict[str, Any]:
        """The key `auto` of quantize.json."""
        goals = next(found for measured, found in reversed(self.measurements) if measured is record)
        return {
            "measurements": len(self.measurements),
            "samples": self.samples,
            "margin_db": self.margin_db,
            "goals": [found.to_json() for found in goals],
        }


def _snr_of(key: str, bound: Any) -> float | None:
    """The least SNR that meets a bound on outputs, or on any one of them."""
    if key not in OF_OUTPUTS or key == "max_abs":
        return None
    least = min(bound.values()) if isinstance(bound, Mapping) else bound
    return -10.0 * math.log10(max(2.0 * (1.0 - least), 1e-20)) if key == "cosine" else float(least)


@dataclass(frozen=True)
class _Attempt:
    target: float
    wide: frozenset[str]
    record: Record
    held: list[Held]

    @property
    def holds(self) -> bool:
        return all(goal.holds for goal in self.held)

    @property
    def missing_db(self) -> float | None:
        """What is known to be missing; None where nothing is."""
        return max((goal.missing_db for goal in self.held if goal.missing_db is not None), default=None)


def searched(
    goal: Goal,
    lowest: float,
    everything: frozenset[str],
    reaching: Callable[[float], frozenset[str]],
    made: Callable[[frozenset[str]], Record],
) -> Record:
    """The predicted SNR is raised from `lowest`, that of no choice at all, until the goal holds, and then
    lowered again by bisection, since predictions miss by a few dB either way.

    `reaching`: the cheapest choice for a predicted SNR; `made`: its record. Raises (exit 1) where everything
    does not do."""
    tried: dict[frozenset[str], tuple[Record, list[Held]]] = {}

    def attempt(target: float) -> _Attempt:
        wide = everything if target > TOP_DB else reaching(target)
        if wide not in tried:
            record = made(wide)
            tried[wide] = record, goal.held(record)
        return _Attempt(target, wide, *tried[wide])

    low, best = lowest, attempt(goal.first_target(lowest))
    blind = BLIND_DB
    while not best.holds:
        if best.wide == everything:
            raise _out_of_reach(best, goal)
        low, rise = best.target, best.missing_db
        if any(held.missing_db is None for held in best.held):
            rise, blind = max(rise or 0.0, blind), 2 * blind
        target = low + max(rise or 0.0, STEP_DB)
        best = attempt(math.inf if goal.left <= 1 else target)
    for _ in range(ROUNDS):
        if best.target - low <= STEP_DB or goal.left < 1:
            break
        found = attempt((low + min(best.target, TOP_DB)) / 2)
        if found.holds:
            best = found
        else:
            low = found.target
    return best.record


def _out_of_reach(best: _Attempt, goal: Goal) -> ModelbuildError:
    lacking = [each for each in best.held if not each.holds]
    worst = max(lacking, key=lambda each: math.inf if each.missing_db is None else each.missing_db)
    kept = "" if worst.missing_db is None else f" (and {goal.margin_db:g} dB in hand, `margin_db`)"
    return ModelbuildError(
        f"quantize.mode: {AUTO} does not reach what `accept` wants",
        why=f"with all that it may choose in 16 bits, {worst.check} is {worst.measured:.4g} on calibration "
        f"samples, and {worst.bound:.4g}{kept} is wanted",
        where="quantize.mode",
        advice="lower `accept`, or write `activations: int16, weights: int16` in place of `mode`: "
        "`modelbuild compare MODEL@TARGET --layers` then says which layers lose most",
        exit_code=EXIT_FAILED,
    )
