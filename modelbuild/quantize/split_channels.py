"""Chooses which runs are taken apart by channels, by the noise that is predicted at the model's outputs."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.quantize.equalize import ROUGHLY, coarser
from modelbuild.quantize.number_format import Formats
from modelbuild.quantize.observations import Observations, TensorObservation
from modelbuild.quantize.plan import Plan
from modelbuild.quantize.predict import activation_noise
from modelbuild.quantize.ranges import output_error
from modelbuild.quantize.settings import DEFAULT_METHOD, Settings
from modelbuild.quantize.split_graph import Indices, Split, split
from modelbuild.quantize.split_observations import of_channels
from modelbuild.quantize.split_regions import Region, regions

LEAST = 0.01  # of the whole model's noise that is left then, which a part more must save
TOGETHER = 0.2  # of the whole model's noise, which all of them must save: 1 dB
PARTS = 6  # of a run
MOST = 16  # parts more than there are runs
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # channels of the first parts

Real = NDArray[np.float64]


def divided(
    graph: Graph,
    plan: Plan,
    observations: Observations,
    settings: Settings,
    formats: Formats,
    given: Container[str] = frozenset(),
) -> Split:
    """The graph, taken apart where the settings want that and it is worth it."""
    default = settings.range.method == DEFAULT_METHOD and settings.mode is None
    wanted = default if settings.split is None else settings.split
    if not wanted:
        return Split(graph)
    if settings.mode is not None or settings.range.method == "moving_average":
        other = f"mode: {settings.mode}" if settings.mode else "the range method moving_average"
        raise ModelbuildError(
            f"quantize.split cannot go with {other}",
            why="it is known of the tensors as they are, not of the parts of them",
            advice="leave one of them out",
        )
    return split(graph, choose(graph, plan, observations, formats, given))


def choose(
    graph: Graph,
    plan: Plan,
    observations: Observations,
    formats: Formats,
    given: Container[str] = frozenset(),
) -> dict[str, tuple[int, ...]]:
    """The tensor that a Conv leaves -> the part that each of its channels goes to. Step by step the part more
    that saves most. Runs with 16 bits, ranges that are `given` or formats of their own stay as they are."""
    judge = _Judge(plan, observations, formats)
    roots = dict.fromkeys(map(plan.root, plan.tensors(graph)))
    left = whole = sum(judge.of(name) for name in roots if judge.knows(name))
    names = {
        start: _judged(region, plan, graph, judge)
        for start, region in regions(graph).items()
        if _is_free(region, graph, formats, given) and _have_channels(region, observations)
    }
    ladders: dict[str, list[_Division]] = {}
    taken = dict.fromkeys(names, 0)
    for _ in range(MOST):
        for start in names:  # what a part saves is no more than there is
            noise = sum(judge.of(name) for name in names[start])
            if start not in ladders and noise > LEAST * max(left - noise, 0.0):
                ladders[start] = [_Division(noise, None), *_divisions(names[start], judge)]
        gains = [
            (ladder[taken[start]].noise - ladder[taken[start] + 1].noise, start)
            for start, ladder in ladders.items()
            if taken[start] + 1 < len(ladder)
        ]
        gain, start = max(gains, default=(0.0, ""))
        if gain <= LEAST * max(left - gain, 0.0):
            break
        left = max(left - gain, 0.0)  # noises may differ by more than sums can hold
        taken[start] += 1
    if whole - left < TOGETHER * whole:
        return {}
    chosen = {start: ladders[start][step].parts for start, step in taken.items() if step}
    return {start: tuple(parts.tolist()) for start, parts in chosen.items() if parts is not None}


def _is_free(region: Region, graph: Graph, formats: Formats, given: Container[str]) -> bool:
    """Whether nothing in a run, and nothing that reads it, has a range or format of its own."""
    readers = [
        node for each in region.readers for node in (each, *graph.consumers().get(each.outputs[0], []))
    ]
    constants = {name for node in (region.first, *region.nodes, *readers) for name in node.inputs}
    tensors = {*region.tensors, *(node.outputs[0] for node in region.readers if node.op == "Concat")}
    if any(name in given or name in formats.own.tensors for name in tensors):
        return False
    return formats.activation.bits <= 8 and not constants & set(formats.own.weights)


def _have_channels(region: Region, observations: Observations) -> bool:
    """Whether of all tensors of a run that were observed it is known what each channel held."""
    seen = (observations.tensors.get(name) for name in region.tensors)
    return all(each is None or each.channels is not None for each in seen)


@dataclass(frozen=True)
class _Division:
    """The part of each channel (None: all together), and the noise that is predicted then."""

    noise: float
    parts: Indices | None


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


def _divisions(names: Sequence[str], judge: _Judge) -> list[_Division]:
    """Into 2 parts, 3 ...: each the best that one cut more makes of the one before, of the channels in the
    order of their reach in one of the tensors."""
    orders = [np.argsort(-judge.reach(name), kind="stable") for name in names]
    cuts: list[list[int]] = [[] for _ in orders]
    found: list[_Division] = []
    for _ in range(PARTS - 1):
        best: _Division | None = None
        for order, taken in zip(orders, cuts, strict=True):
            tries = [sorted({*taken, size}) for size in _sizes(len(order)) if size not in taken]
            if not tries:
                return found
            costs = [_cost(names, judge, order, each) for each in tries]
            noise, taken[:] = min(zip(costs, tries, strict=True))
            if best is None or noise < best.noise:
                parts = np.zeros(len(order), np.int64)
                for number, part in enumerate(np.split(order, taken)):
                    parts[part] = number
                best = _Division(noise, parts)
        assert best is not None
        found.append(best)
    return found


def _sizes(count: int) -> list[int]:
    return [size for size in SIZES if size < count]


def _cost(names: Sequence[str], judge: _Judge, order: Indices, cuts: Sequence[int]) -> float:
    return sum(judge.of(name, np.sort(part)) for name in names for part in np.split(order, cuts))
