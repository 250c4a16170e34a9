"""A tiling of a group and the places of its buffers -> the list of actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.forms import form, images
from modelbuild.npu.planning.halo import WEIGHTED, input_planes
from modelbuild.npu.planning.plan import (
    Action,
    Buffer,
    Compute,
    Load,
    LoadConstants,
    Operand,
    Region,
    Store,
)
from modelbuild.npu.planning.rows import Step
from modelbuild.npu.planning.streams import Span, Streams, Tiling, passes
from modelbuild.npu.planning.weights import constant_size


@dataclass(frozen=True)
class Places:
    """Where things lie in SRAM: buffers of tensors, addresses of constants by stage, and the addresses of
    resident maps (of the tensor itself, inside its root)."""

    buffers: Mapping[str, Buffer]
    constants: Mapping[int, tuple[int, ...]]
    resident: Mapping[str, int]


def actions(streams: Streams, tiling: Tiling, places: Places) -> tuple[Action, ...]:
    """Everything a group does, in order of issue."""
    writer = _Writer(streams, tiling, places)
    steps = streams.schedule(tiling.bands).steps
    for block, part, step in passes(tiling, streams.bundle.blocks, len(steps)):
        writer.step(block, part, steps[step])
    return tuple(writer.actions)


class _Writer:
    def __init__(self, streams: Streams, tiling: Tiling, places: Places) -> None:
        self.streams, self.tiling, self.places = streams, tiling, places
        self.model: FixedModel = streams.model
        self.actions: list[Action] = []
        self._constants: dict[int, list[tuple[int, ...] | None]] = {
            stage: [None] * len(addresses) for stage, addresses in places.constants.items()
        }
        self._turn: dict[int, int] = dict.fromkeys(places.constants, 0)
        self._whole: set[str] = set()
        self.stored = set(streams.bundle.writes) - set(places.resident)

    def step(self, block: int, part: int, step: Step) -> None:
        span = self.tiling.parts[part]
        for name, first, end in step.loads:
            self._load(name, block, part, first, end)
        computes = [found for found in step.computes if found[0] not in self.streams.joins]
        for index, first, end in computes:
            self._compute(index, block, span, first, end)
        for index, first, end in computes:
            name = self.streams.stages[index].output
            if name in self.stored:
                plane, planes = self.streams.part_of(name, block, span)
                operand = self._operand(name, block, span, plane)
                self.actions.append(Store(Region(name, plane, planes, first, end - first), operand))

    def _load(self, name: str, block: int, part: int, first: int, end: int) -> None:
        streams = self.streams
        if name in self.places.resident or name in self._whole:
            return
        if streams.is_recast(name):
            own = form(self.model.tensors[name])
            address = self.places.buffers[name].address
            buffer = Buffer(address, own.planes, own.rows, own.row_bytes)
            self.actions.append(Load(Region(name, 0, own.planes, 0, own.rows), Operand(buffer, 0)))
            self._whole.add(name)
            return
        if part and self.tiling.order != "parts" and streams.is_common(name, self.tiling.parts):
            return
        span = self.tiling.parts[part]
        plane, planes = streams.part_of(name, block, span)
        region = Region(name, plane, planes, first, end - first)
        self.actions.append(Load(region, self._operand(name, block, span, plane)))

    def _operand(self, name: str, block: int, span: Span, plane: int) -> Operand:
        """Where plane `plane` of a tensor lies."""
        streams = self.streams
        if name in self.places.resident:
            seen = streams.form(name)
            address = self.places.resident[name]
            return Operand(Buffer(address, seen.planes, seen.rows, seen.row_bytes), plane)
        key = streams.key(name, self.places.resident)
        offset = streams.home[name][1] if key == streams.home[name][0] else 0
        buffer = self.places.buffers[key]
        if name not in streams.made and (streams.is_recast(name) or streams.stays(name, self.tiling)):
            return Operand(buffer, plane)
        first, count = streams.block_of(name, block, self.tiling.parts)
        if buffer.planes < count:
            first, _ = streams.part_of(name, block, span)
        return Operand(buffer, plane - first + offset)

    def _compute(self, index: int, block: int, span: Span, first: int, end: int) -> None:
        stage = self.streams.stages[index]
        plane, planes = self.streams.part_of(stage.output, block, span)
        limit = 1 if self._is_row_by_row(index) else end - first
        for row in range(first, end, limit):
            region = Region(stage.output, plane, planes, row, min(limit, end - row))
            constants = self._fetch_constants(index, region)
            operands = tuple(
                self._input(index, position, name, block, span, plane, planes)
                for position, (name, _) in enumerate(stage.inputs)
            )
            output = self._operand(stage.output, block, span, plane)
            self.actions.append(Compute(stage.operator, region, operands, output, constants))

    def _is_row_by_row(self, index: int) -> bool:
        """Whether each row has constants of its own: the channels of a `prelu` of rank 3 are its rows."""
        stage = self.streams.stages[index]
        operator = self.model.operators[stage.operator]
        return operator.kind == "prelu" and len(self.model.tensors[stage.output].shape) == 3

    def _input(
        self, index: int, position: int, name: str, block: int, span: Span, plane: int, planes: int
    ) -> Operand:
        operator = self.model.operators[self.streams.stages[index].operator]
        first, _ = input_planes(self.model, operator, position, plane, planes)
        return self._operand(name, block, span, first)

    def _fetch_constants(self, index: int, region: Region) -> int | None:
        """The address of a region's constants, which are loaded unless they lie there already."""
        if index not in self.places.constants:
            return None
        operator = self.model.operators[self.streams.stages[index].operator]
        key = self._needed(index, region)
        wanted = Region(region.tensor, *key)
        if not constant_size(self.model, operator, wanted):
            return None
        held = self._constants[index]
        if key not in held:
            turn = self._turn[index]
            held[turn] = key
            address = self.places.constants[index][turn]
            self.actions.append(LoadConstants(self.streams.stages[index].operator, wanted, address))
            self._turn[index] = (turn + 1) % len(held)
        return self.places.constants[index][held.index(key)]

    def _needed(self, index: int, region: Region) -> tuple[int, int, int, int]:
        """The region, of the first image, whose constants are those of `region`."""
        stage = self.streams.stages[index]
        operator = self.model.operators[stage.operator]
        shape = self.model.tensors[stage.output].shape
        whole = form(self.model.tensors[stage.output])
        each = whole.planes // images(shape)
        plane, planes = region.plane % each, region.planes
        row, rows = region.row, region.rows
        if operator.kind in ("resize_linear",):
            return 0, each, row, rows
        if operator.kind in WEIGHTED or (
            operator.kind in ("prelu", "rescale") and not self._is_row_by_row(index)
        ):
            return plane, planes, 0, whole.rows
        if self._is_row_by_row(index):
            return region.plane, planes, row, rows
        return 0, each, 0, whole.rows
