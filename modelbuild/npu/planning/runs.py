"""What every run of neighbouring groups would move and hold if it were executed as one, row by row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.cutting import Limits, moved, weight_bytes
from modelbuild.npu.planning.forms import Form, form, operand_form
from modelbuild.npu.planning.grouping import Bundle, fits_blocks
from modelbuild.npu.planning.halo import CELLWISE, Reach, Same, needs_all_rows, reach
from modelbuild.npu.planning.merging import Merging
from modelbuild.npu.planning.plan import Region
from modelbuild.npu.planning.row_counts import NOBODY, Rows, lowest, possible
from modelbuild.npu.planning.streams import Streams
from modelbuild.npu.planning.weights import constant_size

LONGEST = 32  # groups of a run
_STEPS = 1024  # the most steps that are looked at


@dataclass(frozen=True)
class Run:
    """Groups first..last as one: bytes of `constants` that lie in SRAM all along, and by root of the maps:
    bytes of rings in SRAM, and bytes that are loaded and stored where others use the root from DRAM."""

    first: int
    last: int
    constants: int
    rings: Mapping[str, int]
    moved: Mapping[str, int]


class Runs:
    """The runs of a model's groups."""

    def __init__(
        self, merging: Merging, streams: Sequence[Streams | None], limits: Limits, last_use: Mapping[str, int]
    ) -> None:
        self.merging, self.streams, self.limits = merging, streams, limits
        self.model: FixedModel = merging.model
        self.groups: Sequence[Bundle] = merging.groups
        self.last_use = last_use  # tensor -> the last group that reads a part of it
        self._reaches: dict[tuple[int, int], Reach] = {}
        self._needs: dict[tuple[int, int], bool] = {}
        self._forms: dict[str, Form] = {}
        self._constants = [self._constant_bytes(found) for found in streams]

    def __iter__(self) -> Iterator[Run]:
        for first, group in enumerate(self.groups):
            if group.banded:
                yield from self._from(first)

    def _constant_bytes(self, streams: Streams | None) -> int:
        if streams is None:
            return 0
        model, total = self.model, 0
        for stage in streams.stages:
            planes = form(model.tensors[stage.output]).planes
            operator = model.operators[stage.operator]
            if operator.kind in ("conv", "gemm"):
                continue
            size = constant_size(model, operator, Region(stage.output, 0, planes, 0, stage.rows))
            total += self.limits.align(size)
        return total + self.limits.align(weight_bytes(streams))

    def form(self, name: str) -> Form:
        """The form of a tensor, remembered."""
        if name not in self._forms:
            self._forms[name] = form(self.model.tensors[name])
        return self._forms[name]

    def lies_in(self, name: str, operator: int) -> bool:
        """Whether a tensor can lie in the output of a cell-by-cell operator, its only reader."""
        found = self.model.operators[operator]
        read, made = self.model.tensors[name], self.model.tensors[found.outputs[0]]
        return (
            found.kind in CELLWISE
            and name in self.merging.makers
            and self.merging.grouping.is_private(name, {operator})
            and (read.shape, read.dtype.itemsize) == (made.shape, made.dtype.itemsize)
        )

    def reach(self, operator: int, position: int) -> Reach:
        """How rows of an operator depend on an input, remembered."""
        key = (operator, position)
        if key not in self._reaches:
            self._reaches[key] = reach(self.model, self.model.operators[operator], position)
        return self._reaches[key]

    def needs_all(self, operator: int, position: int) -> bool:
        """Whether an operator needs an input whole, remembered."""
        key = (operator, position)
        if key not in self._needs:
            found = self.model.operators[operator]
            rows = form(self.model.tensors[found.outputs[0]]).rows
            height = form(self.model.tensors[found.inputs[position]]).rows
            self._needs[key] = needs_all_rows(self.reach(operator, position), rows, height)
        return self._needs[key]

    def _from(self, first: int) -> Iterator[Run]:
        """Runs that begin with group `first`, shortest first; all that can be, up to what SRAM holds."""
        walk = _Walk(self, first)
        constants = 0
        for last in range(first, min(first + LONGEST, len(self.groups))):
            group = self.groups[last]
            constants += self._constants[last]
            too_large = last > first and constants > self.limits.sram_bytes
            if too_large or not group.banded or not walk.add(group):
                return
            if last == first or walk.is_whole(last):
                rings, found = walk.bytes(last)
                yield Run(first, last, constants, rings, found)


class _Walk:
    """How far each tensor of a run has come after each step, and what is still needed of it."""

    def __init__(self, runs: Runs, first: int) -> None:
        self.runs, self.model, self.shared = runs, runs.model, runs.merging.shared
        window = runs.groups[first : first + LONGEST]
        names = (name for group in window if group.banded for name in (*group.reads, *group.writes))
        tensors = self.model.tensors
        self.steps = min(_STEPS, max(form(tensors[name]).rows for name in names))
        self.inside: set[int] = set()
        self.joins: set[int] = set()
        self.blocks = runs.groups[first].blocks
        self.alike = True  # whether all groups have so many blocks
        self.come: dict[str, Rows] = {}  # rows there are after each step
        self.low: dict[str, Rows] = {}  # the lowest row that is needed from each step on
        self.sources: dict[str, None] = {}
        self.home: dict[str, str] = {}
        self.inner: dict[str, str] = {}  # what lies in the output of its reader, if that output stays inside
        self.covered: set[str] = set()
        self._looked_at: dict[str, int] = {}  # how many readers of a tensor have been seen
        self._held: dict[tuple[str, ...], tuple[int, int]] = {}  # rows that rings hold, and for which readers

    def add(self, group: Bundle) -> bool:
        """One more group; False if it cannot be executed together with the others."""
        merging = self.runs.merging
        self.inside.update(group.members)
        self.alike = self.alike and group.blocks == self.blocks
        self.blocks = math.lcm(self.blocks, group.blocks)
        joins: set[int] = set(self.joins)
        for index in group.members:
            for name in self.model.operators[index].inputs:
                if name in self.come or merging.makers.get(name) in self.inside:
                    continue
                reads: dict[str, None] = {}
                if not merging.join(name, self.inside, joins, reads):
                    return False
                for source in reads:
                    self._source(source, index)
            for join in sorted(joins - self.joins):
                self._join(join)
            self.joins = set(joins)
            self._operator(index)
        return not self.joins or self.blocks == 1

    def _source(self, name: str, reader: int) -> None:
        if name in self.come:
            return
        rank = len(self.model.tensors[self.model.operators[reader].outputs[0]].shape)
        rows = operand_form(self.model.tensors[name], rank).rows
        steps = np.arange(self.steps + 1, dtype=np.int64)
        self.come[name] = -(-rows * steps // self.steps)
        self.sources[name] = None
        self.home[name] = name

    def _join(self, index: int) -> None:
        operator = self.model.operators[index]
        target = operator.outputs[0]
        self.home[target] = target
        for name in operator.inputs:
            self.home[name] = target
        done = np.minimum.reduce([self.come[name] for name in operator.inputs])
        self._made(index, target, done)

    def _operator(self, index: int) -> None:
        operator = self.model.operators[index]
        target = operator.outputs[0]
        rows = self.runs.form(target).rows
        done = np.full(self.steps + 1, rows, np.int64)
        for position, name in enumerate(operator.inputs):
            done = np.minimum(done, possible(self.runs.reach(index, position), self.come[name], rows))
        done[0] = 0  # rows that need nothing but padding come with the first step
        self.home[target] = target
        for name in operator.inputs:
            if name in self.come and name not in self.sources and self.runs.lies_in(name, index):
                self.inner[name] = target
                break
        self._made(index, target, done)

    def _made(self, index: int, target: str, done: Rows) -> None:
        self.come[target] = done
        operator = self.model.operators[index]
        rows = self.runs.form(target).rows
        for position, name in enumerate(operator.inputs):
            self._looked_at[name] = self._looked_at.get(name, 0) + 1
            found = Same() if index in self.runs.merging.shared.free else self.runs.reach(index, position)
            low = np.where(done < rows, lowest(found, done, rows), NOBODY)
            self.low[name] = np.minimum(self.low[name], low) if name in self.low else low
            if index not in self.runs.merging.shared.free and self.runs.needs_all(index, position):
                self.covered.add(name)

    def is_whole(self, last: int) -> bool:
        """Whether the run can be one group: all that stays inside is needed to its last row."""
        operators = [self.model.operators[index] for index in sorted(self.inside)]
        if not self.alike and not fits_blocks(self.model, operators):
            return False
        covered = set(self.covered)
        for index in sorted(self.joins, reverse=True):
            operator = self.model.operators[index]
            if operator.outputs[0] not in covered:
                return False
            covered.update(operator.inputs)
        return all(name in covered or name in self.sources or self._is_seen(name, last) for name in self.come)

    def _is_seen(self, name: str, last: int) -> bool:
        """Whether somebody behind the run needs what the run makes."""
        return self.runs.last_use.get(name, -1) > last

    def bytes(self, last: int) -> tuple[dict[str, int], dict[str, int]]:
        """Rings, and what is moved where it is in DRAM, by root."""
        rings: dict[str, int] = {}
        found: dict[str, int] = {}
        limits = self.runs.limits
        families: dict[str, list[str]] = {}
        for name in self.come:
            families.setdefault(self._family(name, last), []).append(name)
        for key, names in families.items():
            root = self.shared.view[key].root if key in self.shared.view else key
            seen = self.runs.form(key)
            planes = -(-seen.planes // self.blocks)
            ring = limits.align(min(self._rows_held(names), seen.rows) * planes * seen.row_bytes)
            rings[root] = rings.get(root, 0) + ring
        for name in self.come:
            root = self.shared.view[name].root if name in self.shared.view else name
            stored = name not in self.sources and self._is_seen(name, last)
            joined = name not in self.sources and self.runs.merging.makers.get(name) in self.joins
            if name in self.sources or (stored and not joined):
                found[root] = found.get(root, 0) + moved(self.runs.form(name), limits.row_alignment)
        return rings, found

    def _family(self, name: str, last: int) -> str:
        while True:
            inner = self.inner.get(name)
            if inner is not None and not self._is_seen(inner, last):
                name = inner
            elif self.home[name] != name:
                name = self.home[name]
            else:
                return name

    def _rows_held(self, names: Sequence[str]) -> int:
        key, seen = tuple(names), sum(self._looked_at.get(name, 0) for name in names)
        if self._held.get(key, (-1, 0))[0] == seen:
            return self._held[key][1]
        high = np.maximum.reduce([self.come[name][1:] for name in names])
        before = np.minimum.reduce([self.come[name][:-1] for name in names])
        lows = [self.low[name][:-1] for name in names if name in self.low]
        low = np.minimum.reduce([before, *lows]) if lows else before
        held = int((high - low).max())
        self._held[key] = (seen, held)
        return held
