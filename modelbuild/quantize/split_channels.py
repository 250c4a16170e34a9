"""Chooses which runs are taken apart by channels, by the noise that is predicted at the model's outputs."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Graph
from modelbuild.quantize.equalize import ROUGHLY, coarser
from modelbuild.quantize.number_format import Formats
from modelbuild.quantize.observations import Observations, TensorObservation
from modelbuild.quantize.plan import Plan
from modelbuild.quantize.predict import activation_noise
from modelbuild.quantize.ranges import output_error
from modelbuild.quantize.split_observations import of_channels
from modelbuild.quantize.split_regions import Region, regions

LEAST = 0.01  # of the whole model's noise that a part more must save
MOST = 24  # runs
PARTS = 3
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # channels of a part

Indices = NDArray[np.int64]
Real = NDArray[np.float64]


def choose(
    graph: Graph,
    plan: Plan,
    observations: Observations,
    formats: Formats,
    given: Container[str] = frozenset(),
) -> dict[str, tuple[int, ...]]:
    """The tensor that a Conv leaves -> the part that each of its channels goes to."""
    judge = _Judge(plan, observations, formats)
    whole = sum(judge.of(name) for name in dict.fromkeys(map(plan.root, plan.tensors(graph))) if judge.knows(name))
    least = LEAST * whole
    found: list[tuple[float, str, Indices]] = []
    for start, region in regions(graph).items():
        names = _judged(region, plan, graph, judge)
        if any(name in given or formats.of(name).bits > 8 for name in names):
            continue
        before = sum(judge.of(name) for name in names)
        if not names or before < least:
            continue
        parts, after = _best(names, judge, least)
        if before - after >= least:
            found.append((before - after, start, parts))
    found.sort(key=lambda each: -each[0])
    chosen = {start: tuple(parts.tolist()) for _, start, parts in found[:MOST]}
    return {node.outputs[0]: chosen[node.outputs[0]] for node in graph.nodes if node.outputs[0] in chosen}


def _judged(region: Region, plan: Plan, graph: Graph, judge: _Judge) -> list[str]:
    """The tensors of a run that would have scales of their own."""
    joined = region.joined()
    read_inside = {name for node in region.nodes for name in node.inputs}
    names = dict.fromkeys(name for name in region.tensors if name not in joined or name in read_inside)
    left = set(plan.tensors(graph))
    return [name for name in names if name in left and plan.root(name) == name and judge.divides(name)]


class _Judge:
    """Predicts noise of tensors, and of parts of them."""

    def __init__(self, plan: Plan, observations: Observations, formats: Formats) -> None:
        self.plan, self.observations, self.formats = plan, observations, formats
        self._known: dict[tuple[str, bytes], float] = {}

    def knows(self, name: str) -> bool:
        seen = self.observations.tensors.get(name)
        return seen is not None and name not in self.plan.natural and output_error.known(seen)

    def divides(self, name: str) -> bool:
        return self.knows(name) and self.observations.tensors[name].channels is not None

    def reach(self, name: str) -> Real:
        seen = self.observations.tensors[name]
        return np.maximum(np.maximum(-seen.channel_low, seen.channel_high), 0.0)

    def of(self, name: str, channels: Indices | None = None) -> float:
        key = name, b"" if channels is None else channels.tobytes()
        if key not in self._known:
            seen = self.observations.tensors[name]
            self._known[key] = self._noise(name, seen if channels is None else of_channels(seen, channels))
        return self._known[key]

    def _noise(self, name: str, observed: TensorObservation) -> float:
        observed, form = coarser(observed), self.formats.of(name)
        if not output_error.known(observed):
            return 0.0
        grid = form.grid(*output_error.choose(observed, form, ROUGHLY))
        noise = activation_noise(replace(self.observations, tensors={name: observed}), name, form, grid)
        return 0.0 if noise is None else noise


def _best(names: Sequence[str], judge: _Judge, least: float) -> tuple[Indices, float]:
    """(part of each channel, predicted noise) of the best division."""
    best: tuple[Indices, float] | None = None
    for name in names:
        order = np.argsort(-judge.reach(name), kind="stable")
        cuts: list[int] = []
        cost = sum(judge.of(each) for each in names)
        while len(cuts) + 1 < PARTS:
            tries = [(_cost(names, judge, order, sorted({*cuts, cut})), cut) for cut in _sizes(len(order)) if cut not in cuts]
            if not tries:
                break
            lower, cut = min(tries)
            if cost - lower < least:
                break
            cuts, cost = sorted({*cuts, cut}), lower
        if best is None or cost < best[1]:
            parts = np.zeros(len(order), np.int64)
            for number, part in enumerate(np.split(order, cuts)):
                parts[part] = number
            best = parts, cost
    assert best is not None
    return best


def _sizes(count: int) -> list[int]:
    return [size for size in SIZES if size < count]


def _cost(names: Sequence[str], judge: _Judge, order: Indices, cuts: Sequence[int]) -> float:
    return sum(judge.of(name, np.sort(part)) for name in names for part in np.split(order, cuts))
