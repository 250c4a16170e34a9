"""A fixed-point model and a chip -> the three byte strings of a program, and what they will cost."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compile_options import DEEP, DEFAULT, CompileOptions, compile_options
from modelbuild.npu.emitting.constants import Constants
from modelbuild.npu.emitting.emitter import Cost, Emitter
from modelbuild.npu.emitting.execution_order import in_order
from modelbuild.npu.emitting.layer_plan import GroupPlan, LayerPlan, group_plan, layer_plan
from modelbuild.npu.emitting.whereabouts import maps_in_dram
from modelbuild.npu.limits import Sizes, check_memory
from modelbuild.npu.planning.cutting import Limits
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.memory import MemoryPlan, align
from modelbuild.npu.planning.plan import Plan
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.program import (
    HostProgram,
    Instruction,
    LayerPlace,
    Program,
    ProgramInterface,
    Rates,
    TensorPlace,
    command_size,
    encode,
    encode_host,
)
from modelbuild.npu.program.descriptor import CHIP, DRAM
from modelbuild.npu.program.transfers import End, Yield
from modelbuild.npu.rates import limits_of, rates
from modelbuild.npu.rewriting import rewritten
from modelbuild.npu.translator import Translator

ARITHMETIC = "multiplier_shift@1"
HOST_WORKSPACE = 1 << 26
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class CompiledModel:
    """A program and its plan. `cycles` are those that the simulator will count, `tiling` is that of the plan:
    deep tiling that was wanted may not fit, or be no better."""

    command: bytes
    weights: bytes
    host: bytes
    layers: tuple[LayerPlan, ...]
    groups: tuple[GroupPlan, ...]
    memory: MemoryPlan
    cycles: int
    tiling: str
    rates: Rates
    packed: int  # bytes by which the weights are shorter than they would be unpacked


def compile_model(
    model: FixedModel,
    recipe: Recipe,
    options: Mapping[str, object],
    *,
    bytes_wanted: bool = True,
    told: Told | None = None,
) -> CompiledModel:
    """Compiles for the recipe's chip. `options` are those of `compile_options`. Without `bytes_wanted`
    nothing but counts is made, and DRAM has no limit: for an outline. `told` hears how many groups are done,
    of how many.

    A model that is not `multiplier_shift@1`, an operator that docs/arithmetic.md does not define, a layer
    whose smallest step exceeds SRAM is a ModelbuildError, a model that exceeds DRAM an OverMemory.
    """
    wanted = compile_options(recipe, options)
    if model.arithmetic != ARITHMETIC:
        raise ModelbuildError(f"the compiler knows {ARITHMETIC}, not {model.arithmetic}", where=model.name)
    model = rewritten(model)
    counted = rates(recipe.hardware)
    plans = _plans(model, limits_of(recipe.hardware, wanted.sram_bytes), wanted)
    steps = _Progress(told, sum(len(made.groups) for made in plans.values()))
    emitted = [
        _emit(model, made, counted, replace(wanted, tiling=tiling), bytes_wanted, steps)
        for tiling, made in plans.items()
    ]
    return _assemble(min(emitted, key=_worth), recipe, bytes_wanted)


def _plans(model: FixedModel, limits: Limits, wanted: CompileOptions) -> dict[str, Plan]:
    """By tiling: the default plan; where deep tiling is wanted, the deep one too if it fits."""
    try:
        found = {DEFAULT: plan(model, limits, dedicated=wanted.dedicated_output_buffer)}
    except DoesNotFit as error:
        raise _too_small(model, error, limits) from None
    if wanted.tiling == DEEP:
        with suppress(DoesNotFit):
            found[DEEP] = plan(model, limits, deep=True, dedicated=wanted.dedicated_output_buffer)
    return found


def _worth(found: _Emitted) -> tuple[int, int]:
    """What is better is less: cycles, then bytes moved."""
    costs = found.npu.costs.values()
    return found.npu.now, sum(cost.dram_read + cost.dram_write + cost.weight_bytes for cost in costs)


@dataclass
class _Progress:
    """Groups that are done, of all."""

    told: Told | None
    total: int
    done: int = 0

    def step(self) -> None:
        """One more group begins."""
        if self.told:
            self.told(self.done, self.total)
        self.done += 1


@dataclass
class _Emitted:
    """A model's code and costs. Operators are numbered in the order of their execution."""

    model: FixedModel
    plan: Plan
    tiling: str
    translator: Translator
    npu: Emitter
    host: Emitter
    segments: list[tuple[Instruction, ...]] = field(default_factory=list)
    groups: list[GroupPlan] = field(default_factory=list)


def _emit(
    model: FixedModel,
    made: Plan,
    counted: Rates,
    wanted: CompileOptions,
    bytes_wanted: bool,
    steps: _Progress,
) -> _Emitted:
    model, made = in_order(model, made)
    npu = Emitter(counted, Constants(bytes_wanted, wanted.weight_compress))
    host = Emitter(replace(counted, engines=1), Constants(bytes_wanted))
    host.workspace(0, HOST_WORKSPACE)
    translator = Translator(model, made, maps_in_dram(model, made))
    found = _Emitted(model, made, wanted.tiling, translator, npu, host)
    for group in made.groups:
        steps.step()
        head = group.members[0]
        if model.operators[head].unit == "npu":
            _close_segment(found)
            start = npu.now
            found.translator.group(group, npu)
            costs = [npu.costs[index] for index in group.members if index in npu.costs]
            found.groups.append(group_plan(model, group, costs, (start, npu.now)))
        else:
            host.workspace(0, HOST_WORKSPACE)
            found.translator.alone(head, host)
    _close_segment(found)
    npu.instructions.append(End())
    return found


def _close_segment(found: _Emitted) -> None:
    """What the host has collected becomes a segment that the NPU yields to."""
    if found.host.instructions:
        found.npu.instructions.append(Yield(len(found.segments)))
        found.segments.append((*found.host.instructions, End()))
        found.host.instructions.clear()


def _assemble(found: _Emitted, recipe: Recipe, bytes_wanted: bool) -> CompiledModel:
    model, maps, npu, host = found.model, found.plan.maps, found.npu, found.host
    assert maps is not None
    weights = bytes(npu.constants.data)
    host_section = encode_host(HostProgram(host.sram_peak, tuple(found.segments), bytes(host.constants.data)))
    host_size = len(host_section) + host.constants.size - len(host.constants.data)
    program = Program(
        interface=_interface(found),
        instructions=tuple(npu.instructions),
        rates=npu.rates,
        dram_size=maps.size,
        sram_size=npu.sram_peak,
        weights_size=npu.constants.size,
        weights_checksum=zlib.crc32(weights),
        host_size=host_size,
        host_checksum=zlib.crc32(host_section),
    )
    command = encode(program) if bytes_wanted else b""
    command_bytes = len(command) or command_size(program)
    memory = MemoryPlan(
        input=maps.input,
        output=maps.output,
        working=maps.working,
        command=command_bytes,
        weights=npu.constants.size,
        host=host_size,
        dram_peak=maps.size + sum(align(size) for size in (command_bytes, npu.constants.size, host_size)),
        sram_peak=program.sram_size,
        placements=maps.placements,
    )
    if bytes_wanted:
        sizes = Sizes(maps.input, maps.output, maps.working, command_bytes, npu.constants.size, host_size)
        check_memory(model.name, sizes, recipe, shapes=[model.tensors[name].shape for name in model.inputs])
    layers = tuple(_layer(found, index) for index in range(len(model.operators)))
    sections = (command, weights, host_section) if bytes_wanted else (b"", b"", b"")
    return CompiledModel(
        *sections,
        layers=layers,
        groups=tuple(found.groups),
        memory=memory,
        cycles=npu.now,
        tiling=found.tiling,
        rates=npu.rates,
        packed=npu.constants.saved,
    )


def _too_small(model: FixedModel, error: DoesNotFit, limits: Limits) -> ModelbuildError:
    operator = None if error.operator is None else model.operators[error.operator]
    what = f"{operator.kind} {operator.name!r}" if operator else "a layer"
    return ModelbuildError(
        f"the smallest step of {what} needs {error.needed} bytes of SRAM",
        where=operator.name if operator else model.name,
        why=f"there are {limits.sram_bytes}",
    )


def _interface(found: _Emitted) -> ProgramInterface:
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


def _layer(found: _Emitted, index: int) -> LayerPlan:
    operator = found.model.operators[index]
    emitter = found.npu if operator.unit == "npu" else found.host
    places = tuple((name, found.translator.in_dram.get(name)) for name in operator.outputs)
    group = next((number for number, one in enumerate(found.groups) if index in one.members), None)
    return layer_plan(found.model, index, emitter.costs.get(index, Cost()), places, group)
