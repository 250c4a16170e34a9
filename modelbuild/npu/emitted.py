"""A model's code under one plan, with what it costs and the bytes that it takes in DRAM."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compile_options import CompileOptions
from modelbuild.npu.emitting.constants import Constants
from modelbuild.npu.emitting.emitter import Cost, Emitter
from modelbuild.npu.emitting.execution_order import in_order
from modelbuild.npu.emitting.layer_plan import GroupPlan, LayerPlan, group_plan, layer_plan
from modelbuild.npu.emitting.whereabouts import maps_in_dram
from modelbuild.npu.limits import Room, Sizes
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.memory import FeatureMaps
from modelbuild.npu.planning.plan import Plan
from modelbuild.npu.program import (
    HostProgram,
    Instruction,
    LayerPlace,
    Program,
    ProgramInterface,
    Rates,
    TensorPlace,
    command_size,
    encode_host,
)
from modelbuild.npu.program.descriptor import CHIP, DRAM
from modelbuild.npu.program.transfers import End, Yield
from modelbuild.npu.translator import Translator

HOST_WORKSPACE = 1 << 26
Told = Callable[[int, int, str], None]  # groups that are done, of how many, and the tiling of the plan


@dataclass
class Progress:
    """Groups that are done, of all."""

    told: Told | None
    total: int
    done: int = 0

    def step(self, tiling: str) -> None:
        """One more group of a plan begins."""
        if self.told:
            self.told(self.done, self.total, tiling)
        self.done += 1


@dataclass
class Emitted:
    """A model's code and costs. Operators are numbered in the order of their execution."""

    model: FixedModel
    plan: Plan
    tiling: str
    translator: Translator
    npu: Emitter
    host: Emitter
    segments: list[tuple[Instruction, ...]] = field(default_factory=list)
    groups: list[GroupPlan] = field(default_factory=list)

    @property
    def maps(self) -> FeatureMaps:
        """Where feature maps lie in DRAM."""
        assert self.plan.maps is not None
        return self.plan.maps

    @property
    def moved(self) -> int:
        """Bytes to and from DRAM."""
        return sum(it.dram_read + it.dram_write + it.weight_bytes for it in self.npu.costs.values())

    @cached_property
    def host_section(self) -> bytes:
        """The segments of the host, with the constants as far as there are bytes."""
        host = self.host
        return encode_host(HostProgram(host.sram_peak, tuple(self.segments), bytes(host.constants.data)))

    @cached_property
    def program(self) -> Program:
        """All but the constants."""
        npu, host = self.npu, self.host
        return Program(
            interface=_interface(self),
            instructions=tuple(npu.instructions),
            rates=npu.rates,
            dram_size=self.maps.size,
            sram_size=npu.sram_peak,
            weights_size=npu.constants.size,
            weights_checksum=zlib.crc32(npu.constants.data),
            host_size=len(self.host_section) + host.constants.size - len(host.constants.data),
            host_checksum=zlib.crc32(self.host_section),
        )

    @cached_property
    def sizes(self) -> Sizes:
        """Bytes of the regions in DRAM."""
        maps, made = self.maps, self.program
        command = command_size(made)
        return Sizes(maps.input, maps.output, maps.working, command, made.weights_size, made.host_size)

    def better(self, other: Emitted, room: Room) -> bool:
        """Whether it fits into `room` and `other` does not; if both do or neither does, whether it takes
        fewer cycles or moves fewer bytes, and not more of the other."""
        over, others = (not room.holds(found.sizes) for found in (self, other))
        mine, its = (self.npu.now, self.moved), (other.npu.now, other.moved)
        least = (min(mine[0], its[0]), min(mine[1], its[1]))
        return over < others or (over == others and mine != its and mine == least)

    def layers(self) -> tuple[LayerPlan, ...]:
        """What each operator costs."""
        return tuple(_layer(self, index) for index in range(len(self.model.operators)))


def emit(
    model: FixedModel,
    made: Plan,
    counted: Rates,
    wanted: CompileOptions,
    bytes_wanted: bool,
    steps: Progress,
) -> Emitted:
    """The code of a plan of the model that `rewriting.rewritten` has seen. Without `bytes_wanted` constants
    are counted, not made. `steps` hears of every group. Operators whose smallest step exceeds the SRAM raise
    DoesNotFit, all at once."""
    given, (model, made) = model, in_order(model, made)
    over: dict[int, int] = {}
    npu = Emitter(counted, Constants(bytes_wanted, wanted.weight_compress))
    host = Emitter(replace(counted, engines=1), Constants(bytes_wanted))
    host.workspace(0, HOST_WORKSPACE)
    translator = Translator(model, made, maps_in_dram(model, made))
    found = Emitted(model, made, wanted.tiling, translator, npu, host)
    for group in made.groups:
        steps.step(wanted.tiling)
        head = group.members[0]
        if model.operators[head].unit == "npu":
            _close_segment(found)
            start = npu.now
            try:
                found.translator.group(group, npu)
            except DoesNotFit as error:
                over[given.operators.index(model.operators[head])] = error.needed
            costs = [npu.costs[index] for index in group.members if index in npu.costs]
            found.groups.append(group_plan(model, group, costs, (start, npu.now)))
        else:
            host.workspace(0, HOST_WORKSPACE)
            found.translator.alone(head, host)
    if over:
        most = max(over, key=lambda index: over[index])
        raise DoesNotFit(over.pop(most), most, over)
    _close_segment(found)
    npu.instructions.append(End())
    return found


def _close_segment(found: Emitted) -> None:
    """What the host has collected becomes a segment that the NPU yields to."""
    if found.host.instructions:
        found.npu.instructions.append(Yield(len(found.segments)))
        found.segments.append((*found.host.instructions, End()))
        found.host.instructions.clear()


def _interface(found: Emitted) -> ProgramInterface:
    model, address = found.model, found.translator.in_dram.get

    def border(name: str) -> TensorPlace:
        at = address(name)
        if at is None:
            raise ModelbuildError("an output of the model is a constant", where=name)
        return _tensor_place(model.tensors[name], at)

    def inner(name: str) -> TensorPlace:
        return _tensor_place(model.tensors[name], address(name))

    return ProgramInterface(
        name=model.name,
        arithmetic=model.arithmetic,
        chip=model.chip,
        inputs=tuple(border(name) for name in model.inputs),
        outputs=tuple(border(name) for name in model.outputs),
        layers=tuple(
            LayerPlace(item.name, item.kind, item.unit, tuple(inner(name) for name in item.outputs))
            for item in model.operators
        ),
        metadata=model.metadata,
    )


def _tensor_place(tensor: QuantizedTensor, address: int | None) -> TensorPlace:
    return TensorPlace(
        name=tensor.name,
        shape=tensor.shape,
        bits=tensor.bits,
        signed=tensor.signed,
        scale=float(tensor.scale),
        zero_point=tensor.zero_point,
        address=address or 0,
        size=form(tensor).size,
        where=CHIP if address is None else DRAM,
    )


def _layer(found: Emitted, index: int) -> LayerPlan:
    operator = found.model.operators[index]
    emitter = found.npu if operator.unit == "npu" else found.host
    places = tuple((name, found.translator.in_dram.get(name)) for name in operator.outputs)
    group = next((number for number, one in enumerate(found.groups) if index in one.members), None)
    return layer_plan(found.model, index, emitter.costs.get(index, Cost()), places, group)
