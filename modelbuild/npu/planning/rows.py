"""Bands of rows: which rows each operator of a group computes, one step after the other, and the rings that
hold what is still needed (docs/tiling.md)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.forms import form, operand_form
from modelbuild.npu.planning.halo import Reach, reach

_NOBODY = 1 << 62  # a row beyond all


@dataclass(frozen=True)
class Stage:
    """An operator of a group: rows of its output, and its inputs, each with how it is reached."""

    operator: int
    output: str
    rows: int
    inputs: tuple[tuple[str, Reach], ...]


@dataclass(frozen=True)
class Step:
    """What is done in one step: (tensor, first row, end) to load, then (stage, first row, end) to compute."""

    loads: tuple[tuple[str, int, int], ...]
    computes: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Schedule:
    """`slots` are the rows of each tensor that must be held at once, with those that lie in the same ring,
    and `own` without; `most` are those that one step adds. `halo` are those tensors of which a step needs
    rows of an earlier one."""

    steps: tuple[Step, ...]
    slots: dict[str, int]
    own: dict[str, int]
    most: dict[str, int]
    halo: frozenset[str]


def stages(model: FixedModel, members: Sequence[int]) -> tuple[Stage, ...]:
    """The stages of banded operators."""
    found = []
    for index in members:
        operator = model.operators[index]
        target = model.tensors[operator.outputs[0]]
        inputs = tuple((name, reach(model, operator, i)) for i, name in enumerate(operator.inputs))
        found.append(Stage(index, operator.outputs[0], form(target).rows, inputs))
    return tuple(found)


def source_rows(model: FixedModel, parts: Sequence[Stage]) -> dict[str, int]:
    """Rows of each tensor that the stages read and do not make, as their readers see it."""
    made = {stage.output for stage in parts}
    rows: dict[str, int] = {}
    for stage in parts:
        rank = len(model.tensors[stage.output].shape)
        for name, _ in stage.inputs:
            if name not in made:
                rows[name] = operand_form(model.tensors[name], rank).rows
    return rows


def schedule(
    parts: Sequence[Stage],
    sources: Mapping[str, int],
    bands: int,
    home: Mapping[str, tuple[str, int]] | None = None,
) -> Schedule:
    """`bands` steps: in each the next part of every source arrives, and each stage computes all rows that
    have become possible. Every row is computed once; of sources only rows that are needed are loaded.

    `home` names the tensor in whose ring another lies: all that lie in one hold the same rows."""
    walk = _Walk(parts, sources, home or {})
    for band in range(1, bands + 1):
        walk.step(band, bands)
    return Schedule(tuple(walk.steps), walk.slots, walk.own, walk.most, frozenset(walk.halo))


class _Walk:
    """How far each tensor has come."""

    def __init__(
        self, parts: Sequence[Stage], sources: Mapping[str, int], home: Mapping[str, tuple[str, int]]
    ) -> None:
        self.parts, self.sources = parts, sources
        self.loaded = dict.fromkeys(sources, 0)
        self.done = [0] * len(parts)
        self.readers: dict[str, list[tuple[int, Reach]]] = {name: [] for name in sources}
        for index, stage in enumerate(parts):
            self.readers[stage.output] = []
            for name, found in stage.inputs:
                self.readers[name].append((index, found))
        self.family: dict[str, list[str]] = {}
        for name in self.readers:
            self.family.setdefault(home[name][0] if name in home else name, []).append(name)
        self.steps: list[Step] = []
        self.slots = dict.fromkeys(self.readers, 0)
        self.own = dict.fromkeys(self.readers, 0)
        self.most = dict.fromkeys(self.readers, 0)
        self.halo: set[str] = set()

    def step(self, band: int, bands: int) -> None:
        """One step."""
        before = list(self.done)
        keep = {name: self._lowest(name) for name in self.readers}
        arrived = {name: -(-rows * band // bands) for name, rows in self.sources.items()}
        for index, stage in enumerate(self.parts):
            self.done[index] = arrived[stage.output] = _possible(stage, self.done[index], arrived)
        computes = [
            (index, first, end)
            for index, (first, end) in enumerate(zip(before, self.done, strict=True))
            if end > first
        ]
        fresh = {self.parts[index].output: (first, end) for index, first, end in computes}
        loads = []
        for name in self.sources:
            first = max(self.loaded[name], keep[name])
            high = self._needed(name, before)
            if high > first:
                loads.append((name, first, high))
                self.loaded[name] = high
                fresh[name] = (first, high)
        self._hold(keep, fresh)
        self._look_back(before, fresh)
        if loads or computes:
            self.steps.append(Step(tuple(loads), tuple(computes)))

    def _lowest(self, name: str) -> int:
        """The lowest row that a reader still needs, at the beginning of a step."""
        needed = [
            found.rows(self.done[index], self.done[index] + 1)[0]
            for index, found in self.readers[name]
            if self.done[index] < self.parts[index].rows
        ]
        return min(needed, default=_NOBODY)

    def _needed(self, name: str, before: Sequence[int]) -> int:
        """The end of the rows of a source that this step's rows need."""
        return max(
            (
                found.rows(before[index], self.done[index])[1]
                for index, found in self.readers[name]
                if self.done[index] > before[index]
            ),
            default=0,
        )

    def _look_back(self, before: Sequence[int], fresh: Mapping[str, tuple[int, int]]) -> None:
        """Notes whose rows of an earlier step this one needs."""
        for name, readers in self.readers.items():
            new = fresh[name][0] if name in fresh else _NOBODY
            for index, found in readers:
                if self.done[index] > before[index]:
                    low, high = found.rows(before[index], self.done[index])
                    if low < min(high, new):
                        self.halo.add(name)

    def _hold(self, keep: Mapping[str, int], fresh: Mapping[str, tuple[int, int]]) -> None:
        """Rings grow to what is held during a step."""
        for name, (first, end) in fresh.items():
            self.most[name] = max(self.most[name], end - first)
            self.own[name] = max(self.own[name], end - min(keep[name], first))
        for names in self.family.values():
            new = [fresh[name] for name in names if name in fresh]
            if new:
                low = min(*(keep[name] for name in names), *(first for first, _ in new), _NOBODY)
                held = max(end for _, end in new) - low
                for name in names:
                    self.slots[name] = max(self.slots[name], held)


def _possible(stage: Stage, done: int, arrived: Mapping[str, int]) -> int:
    """Rows that can be computed with the rows that have arrived."""
    end = stage.rows
    for name, found in stage.inputs:
        rows = arrived[name]
        if end > done and found.rows(end - 1, end)[1] > rows:
            end = done + bisect_right(
                range(done, end),
                rows,
                key=lambda row, found=found: found.rows(row, row + 1)[1],  # type: ignore[misc]
            )
    return end
