"""What a group moves through SRAM: its tensors with their planes, and the buffers that a tiling needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.forms import Form, form, operand_form
from modelbuild.npu.planning.grouping import Bundle
from modelbuild.npu.planning.halo import CELLWISE, WEIGHTED, input_planes
from modelbuild.npu.planning.plan import Region
from modelbuild.npu.planning.rows import Schedule, Stage, schedule, source_rows, stages
from modelbuild.npu.planning.weights import constant_size

Span = tuple[int, int]  # first, count


@dataclass(frozen=True)
class Tiling:
    """How a group is cut: `bands` steps of rows, `parts` of the output planes of a block as (first, count).

    `order`, outermost first: "parts" part, block, band; "bands" block, band, part; "held" block, part, band
    with the maps that all parts read kept whole in between; "batch" part, block, band with these maps of all
    blocks kept whole. `ahead`: rings of what is loaded or stored have
    room for one more band, so that transfers need not wait for computation.
    """

    order: str
    bands: int
    parts: tuple[Span, ...]
    weight_buffers: int = 1
    ahead: bool = False
    over_batch: bool = False  # one of those of `cutting.over_batch`


@dataclass(frozen=True)
class Shape:
    """A buffer to be: `planes` planes of `slots` rows of `row_bytes`."""

    planes: int
    slots: int
    row_bytes: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.planes * self.slots * self.row_bytes


class Streams:
    """The tensors of a banded group, as its operators see them."""

    def __init__(self, model: FixedModel, bundle: Bundle) -> None:
        self.model, self.bundle = model, bundle
        self.stages: tuple[Stage, ...] = stages(model, sorted((*bundle.members, *bundle.joins)))
        self.source_rows = source_rows(model, self.stages)
        self.made = {stage.output: index for index, stage in enumerate(self.stages)}
        self.joins = frozenset(
            index for index, stage in enumerate(self.stages) if stage.operator in bundle.joins
        )
        self.joined = {self.stages[index].output for index in self.joins}
        self.home = homes(model, bundle)
        self._forms: dict[str, Form] = {}
        self._parts: dict[tuple[str, int, Span], Span] = {}
        self._schedules: dict[int, Schedule] = {}
        self._readers: dict[str, list[tuple[int, int]]] = {}
        for index, stage in enumerate(self.stages):
            for position, (name, _) in enumerate(stage.inputs):
                self._readers.setdefault(name, []).append((index, position))

    def key(self, name: str, resident: Collection[str]) -> str:
        """The tensor whose buffer a tensor lies in: its own, if the other is resident and has none."""
        home, _ = self.home[name]
        return name if home in resident else home

    def schedule(self, bands: int) -> Schedule:
        """The steps of so many bands."""
        if bands not in self._schedules:
            self._schedules[bands] = schedule(self.stages, self.source_rows, bands, self.home)
        return self._schedules[bands]

    def form(self, name: str) -> Form:
        """The form in which the group sees a tensor."""
        if name not in self._forms:
            tensor = self.model.tensors[name]
            if name in self.made:
                self._forms[name] = form(tensor)
            else:
                reader = self.stages[self._readers[name][0][0]].output
                self._forms[name] = operand_form(tensor, len(self.model.tensors[reader].shape))
        return self._forms[name]

    def is_recast(self, name: str) -> bool:
        """Whether a source is seen in another form than its own; then it is loaded whole."""
        return self.form(name) != form(self.model.tensors[name])

    @cached_property
    def planes(self) -> int:
        """Output planes of a block."""
        return form(self.model.tensors[self.stages[-1].output]).planes // self.bundle.blocks

    @cached_property
    def unit(self) -> Span:
        """(groups, planes of a group) of the head: a part is made of whole groups, or lies within one."""
        head = self.model.operators[self.bundle.members[0]]
        groups = head.parameters.get("group", 1) if head.kind == "conv" else 1
        assert isinstance(groups, int)
        return groups, self.planes // max(groups, 1)

    @cached_property
    def is_divisible(self) -> bool:
        """Whether output planes can be computed in parts: no stage but the first mixes planes."""
        same = all(
            form(self.model.tensors[stage.output]).planes // self.bundle.blocks == self.planes
            for stage in self.stages
        )
        return same and not any(
            self.model.operators[index].kind in WEIGHTED for index in self.bundle.members[1:]
        )

    def part_of(self, name: str, block: int, part: Span) -> Span:
        """The planes of a tensor that a part of a block needs or makes."""
        key = (name, block, part)
        if key not in self._parts:
            self._parts[key] = self._part_of(name, block, part)
        return self._parts[key]

    def _part_of(self, name: str, block: int, part: Span) -> Span:
        if name in self.made:
            whole = self.form(name).planes // self.bundle.blocks
            first, count = part if self.is_divisible else (0, whole)
            return block * whole + first, count
        low, high = 1 << 62, 0
        for index, position in self._readers[name]:
            stage = self.stages[index]
            if index in self.joins:
                return 0, form(self.model.tensors[name]).planes
            first, count = input_planes(
                self.model,
                self.model.operators[stage.operator],
                position,
                *self.part_of(stage.output, block, part),
            )
            low, high = min(low, first), max(high, first + count)
        return low, high - low

    def block_of(self, name: str, block: int, parts: tuple[Span, ...]) -> Span:
        """The planes of a tensor that all parts of a block need or make."""
        spans = [self.part_of(name, block, part) for part in (parts[0], parts[-1])]
        low = min(first for first, _ in spans)
        return low, max(first + count for first, count in spans) - low

    def is_common(self, name: str, parts: tuple[Span, ...]) -> bool:
        """Whether all parts of a block need the same planes of a source."""
        return len(parts) == 1 or self.part_of(name, 0, parts[0]) == self.part_of(name, 0, parts[-1])

    def stays(self, name: str, tiling: Tiling) -> bool:
        """Whether a source lies in SRAM for all blocks at once."""
        is_source = name not in self.made and not self.is_recast(name)
        return tiling.order == "batch" and is_source and self.is_common(name, tiling.parts)

    def constants(self, index: int, parts: tuple[Span, ...], steps: Schedule) -> int:
        """The most bytes of constants that stage `index` needs at once."""
        stage = self.stages[index]
        if index in self.joins:
            return 0
        rows = max(
            (end - first for step in steps.steps for i, first, end in step.computes if i == index), default=0
        )
        operator = self.model.operators[stage.operator]
        return max(
            constant_size(
                self.model, operator, Region(stage.output, *self.part_of(stage.output, 0, part), 0, rows)
            )
            for part in parts
        )


def homes(model: FixedModel, bundle: Bundle) -> dict[str, tuple[str, int]]:
    """Tensor -> the tensor in whose buffer it lies, and at which plane: parts of a concat in the concat's,
    what only a cell-by-cell operator reads in that operator's output."""
    operators = [model.operators[index] for index in sorted((*bundle.members, *bundle.joins), reverse=True)]
    found: dict[str, tuple[str, int]] = {
        name: (name, 0) for operator in operators for name in (*operator.inputs, *operator.outputs)
    }
    private = {name for operator in operators for name in operator.outputs} - _needed_again(model, bundle)
    for operator in operators:
        key, plane = found[operator.outputs[0]]
        if operator.kind == "concat":
            for name in operator.inputs:
                found[name] = (key, plane)
                plane += form(model.tensors[name]).planes
        elif operator.kind in CELLWISE:
            made = model.tensors[operator.outputs[0]]
            for name in operator.inputs:
                read = model.tensors[name]
                alike = (read.shape, read.dtype.itemsize) == (made.shape, made.dtype.itemsize)
                if name in private and alike:
                    found[name] = (key, plane)
                    break
    return found


def _needed_again(model: FixedModel, bundle: Bundle) -> set[str]:
    """What the group stores or several of its operators read, and the concats that hold a part of it."""
    operators = [model.operators[index] for index in sorted((*bundle.members, *bundle.joins))]
    readers = Counter(name for operator in operators for name in dict.fromkeys(operator.inputs))
    found = {*bundle.writes, *(name for name, count in readers.items() if count > 1)}
    for operator in operators:
        if operator.kind == "concat" and found.intersection(operator.inputs):
            found.update(operator.outputs)
    return found


def buffers(streams: Streams, tiling: Tiling, resident: Collection[str]) -> Mapping[str, Shape]:
    """The buffers in SRAM of all tensors that are not `resident`, by the tensor that `Streams.key` says."""
    steps = streams.schedule(tiling.bands)
    found: dict[str, Shape] = {}
    for name in steps.slots:
        if name not in resident:
            key = streams.key(name, resident)
            alone = key == name != streams.home[name][0]
            shape = _shape(streams, tiling, steps, name, alone)
            if key != name and key in streams.joined:
                shape = Shape(streams.form(key).planes, shape.slots, shape.row_bytes)
            if key in found:
                shape = Shape(*(max(pair) for pair in zip(_sizes(found[key]), _sizes(shape), strict=True)))
            found[key] = shape
    return found


def _sizes(shape: Shape) -> tuple[int, int, int]:
    return shape.planes, shape.slots, shape.row_bytes


def _shape(streams: Streams, tiling: Tiling, steps: Schedule, name: str, alone: bool) -> Shape:
    """What one tensor needs; `alone` where those that it would share a ring with are resident."""
    parts, seen = tiling.parts, streams.form(name)
    slots = steps.own[name] if alone else steps.slots[name]
    if name not in streams.made and streams.is_recast(name):
        return Shape(seen.planes, seen.rows, seen.row_bytes)
    if streams.stays(name, tiling):
        return Shape(seen.planes, seen.rows, seen.row_bytes)
    planes = max(streams.part_of(name, 0, part)[1] for part in parts)
    if tiling.ahead and (name not in streams.made or name in streams.bundle.writes):
        slots = min(seen.rows, slots + steps.most[name])
    if name not in streams.made and streams.is_common(name, parts):
        slots = seen.rows if tiling.order == "held" and len(parts) > 1 else slots
    elif tiling.order == "bands" and name in steps.halo:
        planes = streams.block_of(name, 0, parts)[1]
    return Shape(planes, slots, seen.row_bytes)


def constant_sizes(streams: Streams, tiling: Tiling) -> dict[int, tuple[int, int]]:
    """Stage -> how many buffers for its constants, and the bytes of each; those without any are left out."""
    steps = streams.schedule(tiling.bands)
    found = {}
    for index in range(len(streams.stages)):
        size = streams.constants(index, tiling.parts, steps)
        if size:
            found[index] = (tiling.weight_buffers if index == 0 else 1, size)
    return found


def passes(tiling: Tiling, blocks: int, steps: int) -> Iterator[tuple[int, int, int]]:
    """(block, part, step) in order."""
    parts = range(len(tiling.parts))
    if tiling.order in ("parts", "batch"):
        yield from ((block, part, step) for part in parts for block in range(blocks) for step in range(steps))
    elif tiling.order == "bands":
        yield from ((block, part, step) for block in range(blocks) for step in range(steps) for part in parts)
    else:
        yield from ((block, part, step) for block in range(blocks) for part in parts for step in range(steps))
