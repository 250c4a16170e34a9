"""A fixed-point model and a chip -> the three byte strings of a program, and what they will cost."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, QuantizedTensor
from modelbuild.chips.recipe import Fact, Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.emitter import Emitter, LayerCost, Place
from modelbuild.npu.lowering import LOWERINGS, Operation
from modelbuild.npu.memory import FeatureMaps, MemoryPlan, align, plan_feature_maps, tensor_bytes
from modelbuild.npu.program import (
    HostProgram,
    Instruction,
    LayerPlace,
    Program,
    ProgramInterface,
    Rates,
    TensorPlace,
    encode,
    encode_host,
)
from modelbuild.npu.program.header import MAX_DRAM, MAX_SRAM, RATE_CYCLES
from modelbuild.npu.program.transfers import End, Yield
from modelbuild.npu.tiling import DoesNotFit

ARITHMETIC = "multiplier_shift@1"
HOST_WORKSPACE = 1 << 26
_OPTIONS = ("sram_bytes",)


@dataclass(frozen=True)
class LayerPlan:
    """One operator on the chip: predicted cycles, bytes moved, `outputs` are (tensor, address, bytes)."""

    name: str
    origin: tuple[str, ...]
    kind: str
    unit: str  # npu | cpu
    tiles: int
    cycles: int  # 0 on the cpu, whose time is not the NPU's
    dram_read: int
    dram_write: int
    weight_bytes: int
    sram_peak: int
    outputs: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class CompiledModel:
    """A program and its plan."""

    command: bytes
    weights: bytes
    host: bytes
    layers: tuple[LayerPlan, ...]
    memory: MemoryPlan


def compile_model(model: FixedModel, recipe: Recipe, options: Mapping[str, object]) -> CompiledModel:
    """Compiles for the recipe's chip. `options`: `sram_bytes`, in place of the chip's own.

    A model that is not `multiplier_shift@1`, an operator that docs/arithmetic.md does not define, a layer
    whose smallest step exceeds SRAM, or a model that exceeds DRAM is a ModelbuildError.
    """
    sram = _sram_bytes(recipe, options)
    if model.arithmetic != ARITHMETIC:
        raise ModelbuildError(f"the compiler knows {ARITHMETIC}, not {model.arithmetic}", where=model.name)
    maps = plan_feature_maps(model)
    rates = chip_rates(recipe)
    npu, host = Emitter(sram, rates), Emitter(HOST_WORKSPACE, rates)
    segments: list[tuple[Instruction, ...]] = []
    costs: list[LayerCost] = []
    places = _Places(model, maps, {})
    for index, operator in enumerate(model.operators):
        if operator.outputs[0] in maps.aliases:
            costs.append(LayerCost(0, 0, 0, 0, 0, 0))
            continue
        if operator.unit == "npu":
            _close_segment(npu, host, segments)
        costs.append(_lower(places, index, operator, npu if operator.unit == "npu" else host))
    _close_segment(npu, host, segments)
    npu.instructions.append(End())
    return _assemble(model, recipe, maps, npu, host, tuple(segments), costs)


def _sram_bytes(recipe: Recipe, options: Mapping[str, object]) -> int:
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise ModelbuildError(
            f"unknown compile option {unknown[0]!r}", advice=f"the options are {', '.join(_OPTIONS)}"
        )
    sram = options.get("sram_bytes", int(recipe.hardware.sram_bytes.value))
    if not isinstance(sram, int) or isinstance(sram, bool) or not 0 < sram <= MAX_SRAM:
        raise ModelbuildError(f"sram_bytes must be a number from 1 to {MAX_SRAM}, not {sram!r}")
    return sram


def chip_rates(recipe: Recipe) -> Rates:
    """What the chip does in RATE_CYCLES cycles, from the recipe's clock, array and bandwidths."""
    hardware = recipe.hardware

    def per_cycle(fact: Fact) -> int:
        return max(1, round(fact.value * RATE_CYCLES))

    def per_second(fact: Fact) -> int:
        return max(1, round(fact.value * RATE_CYCLES / hardware.clock_hz.value))

    return Rates(
        outputs=2**32 - 1,
        wide_macs=RATE_CYCLES,
        columns=1,
        pixels=1,
        input_channels=1,
        output_channels=1,
        window_rows=1,
        window_columns=1,
        engines=4,
        granule=16,
        row_alignment=1,
        macs=per_cycle(hardware.macs_per_cycle),
        macs_pointwise=per_cycle(hardware.macs_per_cycle_pointwise),
        macs_depthwise=per_cycle(hardware.macs_per_cycle_depthwise),
        elements=per_cycle(hardware.elementwise_per_cycle),
        read_bytes=per_second(hardware.dram_read_bytes_per_second),
        write_bytes=per_second(hardware.dram_write_bytes_per_second),
        weight_bytes=per_second(hardware.weight_bytes_per_second),
        layer_overhead=round(hardware.layer_overhead_cycles.value),
    )


@dataclass(frozen=True)
class _Places:
    """Finds a tensor in DRAM, or among the constants of the engine that reads it (put there once)."""

    model: FixedModel
    maps: FeatureMaps
    constant_address: dict[tuple[int, str], int]

    def find(self, name: str, emitter: Emitter) -> Place:
        tensor = self.model.tensors[name]
        if name in self.maps.address:
            return Place(tensor, self.maps.address[name])
        key = (id(emitter), name)
        if key not in self.constant_address:
            values = self.model.constants[name]
            if values.shape != tensor.shape or values.min() < tensor.low or values.max() > tensor.high:
                raise ModelbuildError("a constant is not what its tensor says", where=name)
            data = np.ascontiguousarray(values, dtype=tensor.dtype.newbyteorder("<")).tobytes()
            self.constant_address[key] = emitter.add_constants(data)
        return Place(tensor, self.constant_address[key], constant=True)


def _lower(places: _Places, index: int, operator: FixedOperator, emitter: Emitter) -> LayerCost:
    if operator.kind not in LOWERINGS:
        raise ModelbuildError(f"operator kind {operator.kind!r} is unknown", where=operator.name)
    constants = {role: places.model.constants[name] for role, name in operator.constants.items()}
    inputs = tuple(places.find(name, emitter) for name in operator.inputs)
    operation = Operation(operator, inputs, places.find(operator.outputs[0], emitter), constants)
    emitter.begin_layer(index)
    try:
        LOWERINGS[operator.kind](operation, emitter)
    except DoesNotFit as error:
        raise ModelbuildError(
            f"the smallest step of {operator.kind} {operator.name!r} needs {error.needed} bytes of SRAM",
            where=operator.name,
            why=f"there are {emitter.capacity}",
        ) from None
    return emitter.end_layer()


def _close_segment(npu: Emitter, host: Emitter, segments: list[tuple[Instruction, ...]]) -> None:
    """What the host has collected becomes a segment that the NPU yields to."""
    if host.instructions:
        npu.instructions.append(Yield(len(segments)))
        segments.append((*host.instructions, End()))
        host.instructions.clear()


def _assemble(
    model: FixedModel,
    recipe: Recipe,
    maps: FeatureMaps,
    npu: Emitter,
    host: Emitter,
    segments: tuple[tuple[Instruction, ...], ...],
    costs: list[LayerCost],
) -> CompiledModel:
    weights = bytes(npu.constants)
    host_section = encode_host(HostProgram(host.sram_peak, segments, bytes(host.constants)))
    program = Program(
        interface=_interface(model, maps),
        instructions=tuple(npu.instructions),
        rates=npu.rates,
        dram_size=maps.size,
        sram_size=npu.sram_peak,
        weights_size=len(weights),
        weights_checksum=zlib.crc32(weights),
        host_size=len(host_section),
        host_checksum=zlib.crc32(host_section),
    )
    command = encode(program)
    memory = MemoryPlan(
        input=maps.input,
        output=maps.output,
        working=maps.working,
        command=len(command),
        weights=len(weights),
        host=len(host_section),
        dram_peak=maps.size + sum(align(len(section)) for section in (command, weights, host_section)),
        sram_peak=npu.sram_peak,
        placements=maps.placements,
    )
    _check_memory(model, recipe, memory)
    layers = tuple(
        _layer_plan(model, maps, operator, cost)
        for operator, cost in zip(model.operators, costs, strict=True)
    )
    return CompiledModel(command, weights, host_section, layers, memory)


def _check_memory(model: FixedModel, recipe: Recipe, memory: MemoryPlan) -> None:
    available = min(int(recipe.hardware.dram_bytes.value), MAX_DRAM)
    if memory.dram_peak > available:
        maps = memory.input + memory.output + memory.working
        raise ModelbuildError(
            f"{model.name} needs {memory.dram_peak} bytes of DRAM, but {recipe.chip} has {available}",
            why=f"feature maps {maps}, weights {memory.weights}, command {memory.command}",
            advice="make the input smaller, or build for another chip",
        )


def _interface(model: FixedModel, maps: FeatureMaps) -> ProgramInterface:
    def place(name: str) -> TensorPlace:
        if name not in maps.address:
            raise ModelbuildError("an output of the model is a constant", where=name)
        return _tensor_place(model.tensors[name], maps.address[name])

    return ProgramInterface(
        name=model.name,
        arithmetic=model.arithmetic,
        chip=model.chip,
        inputs=tuple(place(name) for name in model.inputs),
        outputs=tuple(place(name) for name in model.outputs),
        layers=tuple(
            LayerPlace(item.name, item.kind, item.unit, tuple(place(name) for name in item.outputs))
            for item in model.operators
        ),
        metadata=model.metadata,
    )


def _tensor_place(tensor: QuantizedTensor, address: int) -> TensorPlace:
    return TensorPlace(
        name=tensor.name,
        shape=tensor.shape,
        bits=tensor.bits,
        signed=tensor.signed,
        scale=float(tensor.scale),
        zero_point=tensor.zero_point,
        address=address,
        size=tensor_bytes(tensor),
    )


def _layer_plan(model: FixedModel, maps: FeatureMaps, operator: FixedOperator, cost: LayerCost) -> LayerPlan:
    return LayerPlan(
        name=operator.name,
        origin=operator.origin,
        kind=operator.kind,
        unit=operator.unit,
        tiles=cost.tiles,
        cycles=cost.cycles if operator.unit == "npu" else 0,
        dram_read=cost.dram_read,
        dram_write=cost.dram_write,
        weight_bytes=cost.weight_bytes,
        sram_peak=cost.sram_peak,
        outputs=tuple(
            (name, maps.address[name], tensor_bytes(model.tensors[name])) for name in operator.outputs
        ),
    )
