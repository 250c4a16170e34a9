"""Mixed precision: which tensors and weights have 16 bits, by predicted gain per multiply-accumulate
operation, and, where an accuracy is wanted, by what is measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from modelbuild.chips.recipe import NumberFormat
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.quantize.mixed_bits import WIDE, Layer, layers, operands, sides, stated
from modelbuild.quantize.mixed_search import Goal, searched
from modelbuild.quantize.mixed_settings import AUTO, BUDGET, DEFAULT_FLOPS_RATIO
from modelbuild.quantize.number_format import Bits, bits_of, formats_of
from modelbuild.quantize.observations import Observations
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.record import Record
from modelbuild.quantize.sensitivity import gains, noises
from modelbuild.quantize.settings import Settings


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


def problem_of(
    listed: Sequence[Layer], record: Record, settings: Settings, pinned: Bits, *, wide_tables: bool = True
) -> Problem:
    """Of the sides that the settings leave open; what is `pinned` stays as it is. An operator without MACs
    costs no budget; else it costs the values that it leaves, so that 16 bits are not given away."""
    chosen = sides(settings)
    lines = record.by_name()
    fixed = {*pinned.tensors, *pinned.weights}
    gain = {
        name: value
        for name, value in gains(listed, record, wide_tables).items()
        if name not in fixed
        and value > 0.0
        and (chosen.weights if lines[name].kind == "weight" else chosen.activations)
    }
    wide = {name for name, form in (*pinned.tensors.items(), *pinned.weights.items()) if bits_of(form) > 8}
    counted = [
        (
            frozenset(name for name in operands(layer) if name in gain or name in wide),
            layer.macs if settings.mode == BUDGET else layer.macs or layer.cells,
        )
        for layer in listed
    ]
    total = sum(noises(record).values())
    return Problem(total, gain, [pair for pair in counted if pair[0]], frozenset(wide))


def with_spared(wide: frozenset[str], problem: Problem, listed: Sequence[Layer]) -> frozenset[str]:
    """With the tensors that 8 bits spare nothing for: each product that reads one has another operand of 16
    bits. Calibration may see no gain in them; values that it did not see are clipped in 8 bits."""
    has = wide | problem.wide
    readers: dict[str, list[bool]] = {}
    for layer in listed:
        for name in layer.reads if layer.macs else ():
            readers.setdefault(name, []).append(not has.isdisjoint(operands(layer)))
    return wide | {name for name, found in readers.items() if name in problem.gain and all(found)}


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
    problem = problem_of(listed, base, settings, pinned, wide_tables=formats.wide_tables)

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
    if goal is None or not goal.accept:
        raise ModelbuildError(
            f"quantize.mode: {AUTO} needs to know which accuracy is wanted",
            advice="write `accept: {snr_db: 30}`, or choose another mode",
        )
    ladder = problem.ladder()
    lowest = -10.0 * math.log10(max(problem.noise(problem.wide), 1e-20))
    return searched(
        goal,
        lowest,
        frozenset(problem.gain),
        lambda target: with_spared(problem.reaching(10.0 ** (-target / 10.0), ladder), problem, listed),
        made,
    )
