"""Mixed precision: which tensors and weights have 16 bits, by predicted gain per multiply-accumulate
operation, and, where an accuracy is wanted, by what is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from modelbuild.chips.recipe import NumberFormat
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.quantize.mixed_bits import WIDE, Layer, layers, operands, sides, stated
from modelbuild.quantize.mixed_settings import AUTO, BUDGET, DEFAULT_FLOPS_RATIO
from modelbuild.quantize.number_format import Bits, bits_of, formats_of
from modelbuild.quantize.observations import Observations
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.record import Record
from modelbuild.quantize.sensitivity import gains, noises
from modelbuild.quantize.settings import Settings

MARGIN_DB = 1.0  # above what is wanted, on the samples that the ranges were chosen from
STEP_DB = 0.5  # the least that a target rises, and the resolution of the search
ROUNDS = 5  # of bisection, at most
# Outputs as fixed.json has them: {name, snr_db, snr_db_mean, ...}.
Measure = Callable[[Record], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Goal:
    """What `accept:` wants (a number for all outputs, or one each), and what measures a record."""

    accept: Mapping[str, Any]
    measure: Measure

    def missing(self, record: Record) -> float:
        """dB that the worst output lacks; below 0 where all have more than is wanted."""
        measured = {entry["name"]: entry for entry in self.measure(record)}
        found = [-math.inf]
        for key, bounds in self.bounds().items():
            for name, bound in bounds.items():
                if name and name not in measured:
                    raise ModelbuildError(f"accept.{key}: the model has no output {name!r}")
                entries = [measured[name]] if name else measured.values()
                found += [bound + MARGIN_DB - entry[key] for entry in entries]
        return max(found)

    def bounds(self) -> dict[str, dict[str, float]]:
        """Measurement -> output -> bound; "" stands for all outputs."""
        found: dict[str, dict[str, float]] = {}
        for key in ("snr_db", "snr_db_mean"):
            given = self.accept.get(key)
            named = given if isinstance(given, Mapping) else {"": given}
            kept = {name: float(bound) for name, bound in named.items() if bound is not None}
            if kept:
                found[key] = kept
        return found


@dataclass(frozen=True)
class Problem:
    """`gain`: name of a tensor or of weights that may have 16 bits -> the noise power that this takes away.
    `operators`: for each, the operands that count, and what it costs when one of them has 16 bits."""

    total: float
    gain: Mapping[str, float]
    operators: Sequence[tuple[frozenset[str], int]]
    wide: frozenset[str] = field(default_factory=frozenset)  # have 16 bits already

    @cached_property
    def _readers(self) -> Mapping[str, list[int]]:
        """Operand -> the places of the operators that have it."""
        found: dict[str, list[int]] = {}
        for place, (names, _) in enumerate(self.operators):
            for name in names:
                found.setdefault(name, []).append(place)
        return found

    def _touched(self, names: Iterable[str]) -> set[int]:
        return {place for name in names for place in self._readers.get(name, ())}

    def _cost(self, places: Iterable[int]) -> int:
        return sum(self.operators[place][1] for place in places)

    def cost(self, wide: frozenset[str]) -> int:
        """Of the operators that have a 16-bit operand."""
        return self._cost(self._touched(wide))

    def noise(self, wide: frozenset[str]) -> float:
        """Predicted, relative to the outputs."""
        return self.total - self._won(wide)

    def _won(self, names: Iterable[str]) -> float:
        return sum(self.gain.get(name, 0.0) for name in sorted(names))

    def ladder(self) -> list[frozenset[str]]:
        """What to make 16 bits wide, in steps: each the best gain for what it costs once those before it are
        taken. A step is one tensor, one set of weights, or all operands of an operator."""
        together = [names & self.gain.keys() for names, _ in self.operators]
        choices = [*([name] for name in self.gain), *(sorted(names) for names in together if len(names) > 1)]
        left = list(dict.fromkeys(frozenset(names) for names in choices))
        wide, paid, steps = set(self.wide), self._touched(self.wide), list[frozenset[str]]()
        while left:
            worth = [self._worth(names - wide, paid) for names in left]
            best = left[max(range(len(left)), key=lambda at: worth[at])]
            steps.append(best - wide)
            paid |= self._touched(best)
            wide |= best
            left = [names for names in left if not names <= wide]
        return steps

    def _worth(self, names: frozenset[str], paid: set[int]) -> tuple[float, float]:
        """Gain for what it costs, and the gain."""
        gain, cost = self._won(names), self._cost(self._touched(names) - paid)
        return (gain / cost if cost else math.inf), gain

    def within(self, most: float) -> frozenset[str]:
        """As much of the ladder as costs no more than `most`; a step too dear is passed over."""
        wide = self.wide
        for names in self.ladder():
            if self.cost(wide | names) <= most:
                wide |= names
        return wide - self.wide

    def reaching(self, noise: float, ladder: Sequence[frozenset[str]]) -> frozenset[str]:
        """The least of the ladder whose predicted noise is at most `noise`, less what turns out dispensable;
        all of it where even that is not enough."""
        wide = self.wide
        for names in ladder:
            if self.noise(wide) <= noise:
                break
            wide |= names
        while True:
            spare = noise - self.noise(wide)
            spent = self.cost(wide)
            dispensable = [
                (spent - self.cost(wide - names), names)
                for names in ((operands & wide) - self.wide for operands, _ in self.operators)
                if names and self._won(names) <= spare
            ]
            saved, names = max(dispensable, key=lambda found: found[0], default=(0, frozenset()))
            if saved <= 0:
                return wide - self.wide
            wide -= names


def problem_of(listed: Sequence[Layer], record: Record, settings: Settings, pinned: Bits) -> Problem:
    """Of the sides that the settings leave open; what is `pinned` stays as it is."""
    chosen = sides(settings)
    lines = record.by_name()
    fixed = {*pinned.tensors, *pinned.weights}
    gain = {
        name: value
        for name, value in gains(listed, record).items()
        if name not in fixed
        and value > 0.0
        and (chosen.weights if lines[name].kind == "weight" else chosen.activations)
    }
    wide = {name for name, form in (*pinned.tensors.items(), *pinned.weights.items()) if bits_of(form) > 8}
    counted = [
        (
            frozenset(name for name in operands(layer) if name in gain or name in wide),
            layer.macs or layer.cells,
        )
        for layer in listed
    ]
    total = sum(noises(record).values())
    return Problem(total, gain, [pair for pair in counted if pair[0]], frozenset(wide))


def quantize_mixed(
    graph: Graph,
    observations: Observations,
    settings: Settings,
    number_format: NumberFormat,
    goal: Goal | None = None,
    units: Mapping[str, str] | None = None,
) -> Record:
    """As `quantize`, for every mode, and for `cpu_nodes` (`units`: node -> npu | fused | cpu). `auto` needs a
    goal; raises (exit 1) where 16 bits do not reach it."""
    plan = make_plan(graph)
    formats = formats_of(number_format, settings)
    pinned = stated(graph, plan, settings, formats, units or {})
    base = quantize(graph, observations, settings, number_format, pinned)
    if settings.mode not in (AUTO, BUDGET):
        return base
    listed = layers(graph, plan)
    problem = problem_of(listed, base, settings, pinned)

    def made(wide: frozenset[str]) -> Record:
        if not wide:
            return base
        weights = {layer.weights for layer in listed}
        own = Bits(
            {**pinned.tensors, **{name: WIDE for name in sorted(wide) if name not in weights}},
            {**pinned.weights, **{name: WIDE for name in sorted(wide) if name in weights}},
        )
        return quantize(graph, observations, settings, number_format, own)

    if settings.mode == BUDGET:
        ratio = DEFAULT_FLOPS_RATIO if settings.flops_ratio is None else settings.flops_ratio
        return made(problem.within(ratio * sum(layer.macs for layer in listed)))
    if goal is None or not goal.bounds():
        raise ModelbuildError(
            f"quantize.mode: {AUTO} needs to know which accuracy is wanted",
            advice="write `accept: {snr_db: 30}`, or choose another mode",
        )
    return _searched(problem, goal, made)


def _searched(problem: Problem, goal: Goal, made: Callable[[frozenset[str]], Record]) -> Record:
    """The cheapest choice whose measurement holds the goal: the predicted noise is lowered until it does, and
    then raised again by bisection, since predictions miss by a few dB either way."""
    ladder = problem.ladder()
    everything = frozenset(problem.gain)
    tried: dict[frozenset[str], tuple[Record, float]] = {}

    def attempt(target: float) -> tuple[frozenset[str], Record, float]:
        wide = problem.reaching(10.0 ** (-target / 10.0), ladder)
        if wide not in tried:
            record = made(wide)
            tried[wide] = record, goal.missing(record)
        return wide, *tried[wide]

    low = -10.0 * math.log10(max(problem.noise(problem.wide), 1e-20))  # what is predicted as it is
    target = min(bound for bounds in goal.bounds().values() for bound in bounds.values()) + MARGIN_DB
    wide, record, missing = attempt(target)
    while missing > 0.0:
        if wide == everything:
            raise ModelbuildError(
                f"quantize.mode: {AUTO} does not reach what `accept` wants",
                why=f"with all that it may choose in {WIDE}, {missing:.1f} dB are missing "
                f"(it keeps {MARGIN_DB:g} dB in hand, on the calibration samples)",
                advice="lower `accept`, or see which layers lose most: `modelbuild compare --layers`",
                exit_code=EXIT_FAILED,
            )
        low, target = target, target + max(missing, STEP_DB)
        wide, record, missing = attempt(target)
    for _ in range(ROUNDS):
        if target - low <= STEP_DB:
            break
        middle = (low + target) / 2
        _, other, missing = attempt(middle)
        if missing > 0.0:
            low = middle
        else:
            target, record = middle, other
    return record
