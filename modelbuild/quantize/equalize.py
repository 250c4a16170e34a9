"""Chooses the factors of cross-layer equalisation by the noise that is predicted at the model's outputs."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.distinct import distinct
from modelbuild.graph.model import Graph
from modelbuild.quantize.equalize_channels import FIXED, Channels, channels_of
from modelbuild.quantize.equalized import ONE, Equalization, scaled
from modelbuild.quantize.number_format import SMALLEST_RANGE, Formats
from modelbuild.quantize.observations import Observations, TensorObservation
from modelbuild.quantize.plan import Plan, Step
from modelbuild.quantize.predict import activation_noise
from modelbuild.quantize.ranges import output_error
from modelbuild.quantize.ranges.search import COARSER
from modelbuild.quantize.weighted import Weighted, weighted

QUARTERS = (1, 2, 3, 4)  # of the exponent of a channel's largest value; 0 leaves it as it is
SMALLEST = 1 / 64  # factor: rows of weights grow by no more than this
FEWEST = 256  # values of a channel that its range can be judged by
MERGED, ROUGHLY = 16, {"coarse": COARSER}  # bins, and ranges tried, while exponents are compared
# What the predictions are trusted with; docs/design.md says what was measured.
LEAST = 0.01  # of the whole model's noise that a group must save
GAIN = 1.2  # by how much the group's noise must fall
NEAR = 1.1  # the smallest exponent whose noise is that near to the least
WEIGHTS = 2.0  # their noise is more than predicted, since inputs of a node are not independent

Real = NDArray[np.float64]


@dataclass(frozen=True)
class _Product:
    """A step with weights: the largest |w| over the taps [O, C/g], the power that a tap's error has at each
    output [O, C/g] and what that costs [O]."""

    x: str
    y: str
    found: Weighted
    largest: Real
    power: Real
    cost: Real

    def noise(self, candidate: Equalization, formats: Formats) -> float:
        """Predicted: errors are anywhere within a step, and inputs independent of each other."""
        read, made = candidate.of(self.x), candidate.of(self.y)
        largest, power, cost = self.largest, self.power, self.cost
        if read is not None:
            columns = _columns(self.found, read)
            largest, power = largest * columns, power / np.square(columns)
        reach = largest.max(axis=1)
        if made is not None:
            reach, cost = reach / made, cost * np.square(made)
        if not formats.per_channel:
            reach = np.full_like(reach, reach.max(initial=0.0))
        bits = formats.at("", self.found.name).weight_bits
        steps = reach / ((1 << (bits - 1)) - 1)
        return float((cost * np.square(steps) * power.sum(axis=1)).sum())


def equalize(
    graph: Graph,
    plan: Plan,
    observations: Observations,
    formats: Formats,
    given: Container[str] = frozenset(),
) -> Equalization:
    """Group by group, the exponent p of the least predicted noise: factors are (largest |x| of the channel /
    largest of the group)^p, so that small channels grow. Tensors of 16 bits, which need no more steps, and
    those whose ranges are `given` stay as they are."""
    judge = _Judge(plan, observations, formats, _products(graph, plan, observations))
    chosen = Equalization.none(channels_of(graph, plan))
    groups = [(group, judge.roots(group)) for group in _groups(chosen.channels, plan, graph)]
    least = LEAST * judge.cost(chosen, judge.known(plan.tensors(graph)), plan.tensors(graph))
    for group, roots in groups:
        if roots is None or any(name in given or formats.of(name).bits > 8 for name in roots):
            continue
        before = judge.cost(chosen, roots, group)
        if before <= least:
            continue
        candidates = [_with(chosen, group, observations, partial(_power, quarters)) for quarters in QUARTERS]
        costs = [judge.cost(each, roots, group) for each in candidates]
        best = min(costs)
        if before - best >= least and before >= GAIN * best:
            chosen = next(each for each, cost in zip(candidates, costs, strict=True) if cost <= NEAR * best)
    return chosen


def smooth(
    graph: Graph,
    plan: Plan,
    observations: Observations,
    formats: Formats,
    given: Container[str] = frozenset(),
) -> Equalization:
    """Factors by a rule, of every group: sqrt(largest |x| of the channel / largest |w| that multiplies it),
    relative to the largest of these (SmoothQuant, arXiv:2211.10438, with alpha = 0.5). Tensors of 16 bits and
    those whose ranges are `given` stay as they are."""
    chosen = Equalization.none(channels_of(graph, plan))
    columns = _largest_columns(graph, plan, chosen.channels)

    def rule(largest: Real, ids: NDArray[np.int64]) -> Real:
        read = columns[ids] > 0
        wanted = np.sqrt(largest / np.where(read, columns[ids], 1.0))
        return np.where(read, wanted / max(wanted.max(initial=0.0, where=read), SMALLEST_RANGE), 1.0)

    for group in _groups(chosen.channels, plan, graph):
        roots = dict.fromkeys(plan.root(name) for name in group)
        free = not any(name in given or name in plan.natural or formats.of(name).bits > 8 for name in roots)
        if free and all(observations.tensors[name].channels is not None for name in roots):
            chosen = _with(chosen, group, observations, rule)
    return chosen


def _largest_columns(graph: Graph, plan: Plan, channels: Channels) -> Real:
    """[channels.count]: the largest |w| that multiplies a channel; 0 where none does."""
    found = np.zeros(channels.count)
    for step in plan.steps:
        read = weighted(graph, step.node)
        if read is not None:
            name = next(name for name in step.node.inputs if name not in graph.constants)
            ids = channels.ids.get(name)
            rows = np.abs(read.weight.astype(np.float64)).reshape(
                read.group, len(read.weight) // read.group, read.weight.shape[1], -1
            )
            if ids is not None and read.multiplies(graph.shapes[name]):
                np.maximum.at(found, ids, rows.max(axis=(1, 3), initial=0.0).reshape(-1))
    return found


def _groups(channels: Channels, plan: Plan, graph: Graph) -> list[list[str]]:
    """Tensors of the plan that share an id, in the order of execution, without those that nothing scales."""
    group_of: dict[int, int] = {}
    groups: dict[int, list[str]] = {}
    for number, name in enumerate(plan.tensors(graph)):
        ids = [number_of for number_of in distinct(channels.ids[name]).tolist() if number_of != FIXED]
        if not ids:
            continue
        met = sorted({group_of[number_of] for number_of in ids if number_of in group_of})
        target = met[0] if met else number
        members = [member for one in met for member in groups.pop(one)]
        groups[target] = [*members, name]
        for number_of, one in list(group_of.items()) if len(met) > 1 else []:
            if one in met:
                group_of[number_of] = target
        group_of.update(dict.fromkeys(ids, target))
    return list(groups.values())


def _with(
    before: Equalization,
    group: Sequence[str],
    observations: Observations,
    rule: Callable[[Real, NDArray[np.int64]], Real],
) -> Equalization:
    """The factors of one group, `rule` of the largest |x| of each id: not below what the group's Clips need
    to let the same values through."""
    channels = before.channels
    largest, least = np.zeros(channels.count), np.full(channels.count, SMALLEST)
    for name in group:
        observed = observations.tensors[name]
        if channels.ids[name].ndim > 1:  # the values of another tensor of the group
            continue
        np.maximum.at(largest, channels.ids[name], _reach(observed))
        low, high = channels.bounds.get(name, (-np.inf, np.inf))
        for ends, bound in ((-observed.channel_low, -low), (observed.channel_high, high)):
            if 0 < bound < np.inf:
                np.maximum.at(least, channels.ids[name], ends / bound)
    ids = distinct(np.concatenate([channels.ids[name].reshape(-1) for name in group]))
    ids = ids[ids != FIXED]
    factors = np.where(largest[ids] == 0, 1.0, rule(largest[ids], ids))
    values = before.values.copy()
    values[ids] = np.ceil(np.clip(factors, np.minimum(least[ids], 1.0), 1.0) * ONE) / ONE
    return replace(before, values=values)


def _power(quarters: int, largest: Real, ids: NDArray[np.int64]) -> Real:
    """(largest of the channel / largest of all)^(quarters / 4)."""
    overall = largest.max(initial=0.0)
    share = np.ones(len(ids)) if overall <= 0 else largest / overall
    root = np.sqrt(np.sqrt(share))  # by square roots, which every machine rounds alike; its powers do not
    return share if quarters == 4 else np.asarray(np.prod([root] * quarters, axis=0))


def _reach(observed: TensorObservation) -> Real:
    return np.maximum(np.maximum(-observed.channel_low, observed.channel_high), 0.0)


@dataclass(frozen=True)
class _Judge:
    """Predicts noise."""

    plan: Plan
    observations: Observations
    formats: Formats
    products: Sequence[_Product]

    def known(self, names: Sequence[str]) -> list[str]:
        """Of the tensors whose ranges are chosen, those whose noise can be predicted."""
        roots = dict.fromkeys(self.plan.root(name) for name in names)
        seen = self.observations.tensors
        chosen = [name for name in roots if name not in self.plan.natural and name in seen]
        return [name for name in chosen if output_error.known(seen[name])]

    def roots(self, group: Sequence[str]) -> list[str] | None:
        """The tensors of a group whose ranges are chosen; None where one is not known well enough."""
        known = self.known(group)
        if set(known) != {self.plan.root(name) for name in group}:
            return None
        for observed in (self.observations.tensors[name] for name in known):
            if observed.channels is None or observed.count < FEWEST * len(observed.channel_sum):
                return None
        return known

    def cost(self, candidate: Equalization, roots: Sequence[str], group: Sequence[str]) -> float:
        """Of these tensors, and of the weights around a group."""
        near, seen = set(group), self.observations
        total = 0.0
        for name in roots:
            factors, observed, form = candidate.of(name), seen.tensors[name], self.formats.of(name)
            observed = coarser(observed if factors is None else scaled(observed, factors))
            grid = form.grid(*output_error.choose(observed, form, ROUGHLY))
            noise = activation_noise(replace(seen, tensors={name: observed}), name, form, grid)
            total += 0.0 if noise is None else noise
        products = [one for one in self.products if one.x in near or one.y in near]
        return total + WEIGHTS * sum(one.noise(candidate, self.formats) for one in products)


def coarser(observed: TensorObservation) -> TensorObservation:
    """With every `MERGED` bins as one: enough to tell exponents apart."""
    histogram = observed.histogram
    counts = histogram.counts.reshape(-1, MERGED).sum(axis=1)
    weights = None if histogram.weights is None else histogram.weights.reshape(-1, MERGED).sum(axis=1)
    return replace(observed, histogram=replace(histogram, counts=counts, weights=weights))


def _columns(found: Weighted, factors: Real) -> Real:
    """[O, C/g]: the factor of the channel that each column reads."""
    outputs = len(found.weight)
    rows = factors.reshape(found.group, 1, -1)
    return np.broadcast_to(rows, (found.group, outputs // found.group, rows.shape[2])).reshape(outputs, -1)


def _products(graph: Graph, plan: Plan, observations: Observations) -> list[_Product]:
    """The steps whose weights' noise is known: uniform within a step, of independent inputs."""
    made: list[_Product] = []
    for step in plan.steps:
        found = weighted(graph, step.node)
        x = next((name for name in step.node.inputs if name not in graph.constants), "")
        y = _weight_of(observations, step)
        source = observations.tensors.get(x)
        if found is None or y is None or source is None or not found.multiplies(graph.shapes[x]):
            continue
        if len(y) != len(found.weight):
            continue
        flat = np.abs(found.weight.astype(np.float64)).reshape(*found.weight.shape[:2], -1)
        taps = found.over_taps((found.weight != 0).astype(np.float64))
        power = _columns(found, source.channel_variance) * taps / 12
        cost = y / (observations.samples * max(observations.outputs, 1))
        made.append(_Product(x, step.outputs[0], found, flat.max(axis=2, initial=0.0), power, cost))
    return made


def _weight_of(observations: Observations, step: Step) -> Real | None:
    own = observations.channel_weight(step.node.outputs[0])
    return observations.channel_weight(step.outputs[0]) if own is None else own
