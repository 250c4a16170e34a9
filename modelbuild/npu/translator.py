"""From the groups of a plan to instructions: every action becomes a transfer or a tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.errors import ModelbuildError
from modelbuild.npu.emitting.emitter import Emitter, Place
from modelbuild.npu.emitting.timeline import Span
from modelbuild.npu.lowering import LOOPS, TILES, Held, Operation, Slab, Tiles
from modelbuild.npu.lowering.alone import lower_alone
from modelbuild.npu.lowering.tiles import compute, rows_in_slots
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.forms import Form, form
from modelbuild.npu.planning.halo import WEIGHTED
from modelbuild.npu.planning.memory import align
from modelbuild.npu.planning.plan import (
    Action,
    Buffer,
    Compute,
    Group,
    Load,
    LoadConstants,
    Operand,
    Plan,
    Region,
)
from modelbuild.npu.planning.weights import constant_size
from modelbuild.npu.program import ElementType, Instruction

OPAQUE = "opaque"  # in an outline: what has no fixed-point form, and no code


@dataclass(frozen=True)
class _Left:
    """What left the array last, and where it lies."""

    slab: Slab
    planes: int
    rows: int
    row_bytes: int
    type: ElementType


@dataclass
class Translator:
    """One model under one plan. `in_dram` has the addresses of the maps that lie there whole."""

    model: FixedModel
    plan: Plan
    in_dram: Mapping[str, int]
    _forms: dict[str, Form] = field(default_factory=dict)
    _tiles: dict[int, Tiles] = field(default_factory=dict)
    _held: dict[int, tuple[int, Held]] = field(default_factory=dict)
    _left: _Left | None = None

    def _address(self, name: str) -> int | None:
        """Where a map lies in DRAM, or those of its rows that do; None if it does not."""
        view = self.plan.views.get(name)
        base = self.plan.dram.get(view.root if view else name)
        return None if base is None else base + (view.offset if view else 0)

    def place(self, name: str, emitter: Emitter) -> Place:
        """A map in DRAM or on the chip, or a constant operand, which is put among the constants once."""
        tensor = self.model.tensors[name]
        if name not in self.model.constants:
            return Place(tensor, self._address(name))
        values = self.model.constants[name]

        def data() -> bytes:
            if values.shape != tensor.shape or values.min() < tensor.low or values.max() > tensor.high:
                raise ModelbuildError("a constant is not what its tensor says", where=name)
            return np.ascontiguousarray(values, dtype=tensor.dtype.newbyteorder("<")).tobytes()

        part = emitter.constants.part(("operand", name), form(tensor).size, data, packable=False)
        return Place(tensor, part.address, constant=True)

    def operation(self, index: int, emitter: Emitter) -> Operation:
        """An operator with its tensors and constants."""
        operator = self.model.operators[index]
        if operator.kind not in TILES and operator.kind not in LOOPS:
            raise ModelbuildError(f"operator kind {operator.kind!r} is unknown", where=operator.name)
        constants = {role: self.model.constants[name] for role, name in operator.constants.items()}
        inputs = tuple(self.place(name, emitter) for name in operator.inputs)
        output = self.place(operator.outputs[0], emitter)
        ready = self.plan.inside.get(index, frozenset())
        return Operation(self.model, operator, inputs, output, constants, ready)

    def alone(self, index: int, emitter: Emitter) -> None:
        """An operator that loops by itself from DRAM to DRAM in the emitter's workspace. Raises DoesNotFit;
        on the CPU a ModelbuildError."""
        operator = self.model.operators[index]
        emitter.begin_group(index)
        if operator.kind == OPAQUE:
            return
        operation = self.operation(index, emitter)
        try:
            if operator.kind in LOOPS:
                LOOPS[operator.kind](operation, emitter)
            else:
                tiles = TILES[operator.kind](operation)
                lower_alone(
                    tiles,
                    emitter,
                    lambda region: constant_size(self.model, operator, region),
                    lambda region, address: self._load_constants(index, tiles, region, address, emitter),
                )
        except DoesNotFit as error:
            if operator.unit == "npu":
                raise DoesNotFit(align(error.needed), index) from None
            raise ModelbuildError(
                f"the smallest step of {operator.kind} {operator.name!r} needs {error.needed} bytes",
                where=operator.name,
                why=f"the workspace of the CPU has {emitter.capacity}",
            ) from None

    def group(self, group: Group, emitter: Emitter) -> None:
        """A group of the NPU."""
        if group.workspace is not None:
            emitter.workspace(group.workspace.address, group.workspace.size)
            self.alone(group.members[0], emitter)
            return
        emitter.begin_group(group.members[0])
        self._held.clear()
        self._left = None
        makers = {self.model.operators[index].outputs[0]: index for index in group.members}
        readers: dict[str, int] = {}
        for index in reversed(group.members):
            readers |= dict.fromkeys(self.model.operators[index].inputs, index)
        for action in group.actions:
            self._action(action, makers, readers, group.members[0], emitter)

    def _action(
        self,
        action: Action,
        makers: Mapping[str, int],
        readers: Mapping[str, int],
        head: int,
        emitter: Emitter,
    ) -> None:
        if isinstance(action, Compute):
            emitter.charge(action.operator)
            self._compute(action, emitter)
        elif isinstance(action, LoadConstants):
            emitter.charge(action.operator)
            tiles = self._tiles_of(action.operator, emitter)
            self._load_constants(action.operator, tiles, action.region, action.address, emitter)
            self._held[action.address] = action.operator, Held(action.address, action.region)
        elif isinstance(action, Load):
            emitter.charge(readers.get(action.region.tensor, head))
            self._transfer(action.region, action.to, emitter, False)
        else:
            emitter.charge(makers.get(action.region.tensor, head))
            self._transfer(action.region, action.source, emitter, True)

    def _tiles_of(self, index: int, emitter: Emitter) -> Tiles:
        if index not in self._tiles:
            operation = self.operation(index, emitter)
            self._tiles[index] = TILES[operation.operator.kind](operation)
        return self._tiles[index]

    def _form(self, name: str) -> Form:
        found = self._forms.get(name)
        if found is None:
            found = self._forms[name] = form(self.model.tensors[name])
        return found

    def _transfer(self, region: Region, at: Operand, emitter: Emitter, store: bool) -> None:
        """A region between DRAM and SRAM, in two pieces where the ring begins anew."""
        place, own = self.place(region.tensor, emitter), self._form(region.tensor)
        line, buffer = own.row_bytes, at.buffer
        assert buffer.row_bytes == line, region
        slab = slab_of(at, region.row)
        row = region.row
        emitter.uses(buffer.address + buffer.size)
        for slot, rows in rows_in_slots(slab, region.rows):
            shape = [(region.planes, own.plane_bytes, slab.slots * line), (rows, line, line)]
            offset = region.plane * own.plane_bytes + row * line
            address = slab.address + slot * line
            whole = rows == slab.slots
            covers = None if whole else Span(address, rows * line, region.planes, slab.slots * line)
            if store:
                emitter.store(address, place, offset, line, shape, covers, emitter.rates.row_alignment)
            else:
                emitter.load(place, offset, line, shape, address, covers, emitter.rates.row_alignment)
            row += rows

    def _load_constants(
        self, index: int, tiles: Tiles, region: Region, address: int, emitter: Emitter
    ) -> None:
        size = constant_size(self.model, self.model.operators[index], region)
        key = (index, tiles.constant_key(region))
        part = emitter.constants.part(key, size, lambda: tiles.constants(region))
        emitter.uses(address + size)
        emitter.load_constants(part, address)

    def _compute(self, action: Compute, emitter: Emitter) -> None:
        tiles, region = self._tiles_of(action.operator, emitter), action.region
        held = Held(0, region)
        if action.constants is not None:
            owner, held = self._held.get(action.constants, (None, held))
            if owner != action.operator:
                raise ModelbuildError(
                    "the plan computes with constants that are not there",
                    where=self.model.operators[action.operator].name,
                    why="this is a bug of modelbuild, not of the model",
                    advice="report it with the model",
                )
        needs = tiles.needs(region)
        slabs = [slab_of(at, need.row) for at, need in zip(action.inputs, needs, strict=True)]
        if tiles.own_form and region.tensor not in self.in_dram:
            emitter.output(action.operator, region.plane, region.row)
        emitter.uses(action.output.buffer.address + action.output.buffer.size)
        places = slabs, slab_of(action.output, region.row)
        compute(tiles, emitter, region, needs, places, held, self._way_out(action, tiles, needs[0], slabs[0]))
        if tiles.operation.operator.kind in WEIGHTED:
            line = action.output.buffer.row_bytes
            self._left = _Left(places[1], region.planes, region.rows, line, tiles.operation.output.type)

    def _way_out(self, action: Compute, tiles: Tiles, need: Region, slab: Slab) -> Instruction | None:
        """The setup of a tile of exactly what left the array last, where the chip fuses the operator."""
        if not self.model.operators[action.operator].fused:
            return None
        line = action.inputs[0].buffer.row_bytes
        read = _Left(slab, need.planes, need.rows, line, tiles.operation.inputs[0].type)
        if read != self._left:
            return None
        self._left = None
        return tiles.way_out()


def slab_of(at: Operand, row: int) -> Slab:
    """Where row `row` lies in a ring, and what follows it."""
    buffer: Buffer = at.buffer
    address = buffer.address + at.plane * buffer.slots * buffer.row_bytes
    slots = max(1, buffer.slots)  # none where windows see nothing but padding
    return Slab(address, slots, row % slots)
