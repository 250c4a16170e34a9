"""The KPU's module: one function a chain, its tables of batch normalization and activation, its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelbuild.arithmetic.binding import Bound, bind
from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.formats.kmodel import kpu_geometry, kpu_records, kpu_tables
from modelbuild.formats.kmodel.image import Code, Module, linked
from modelbuild.formats.kmodel.kpu_records import KpuConv2d, KpuUpload, MemoryRange, Shape
from modelbuild.formats.kmodel.kpu_registers import RAM_BYTES, Layer
from modelbuild.formats.kmodel.kpu_tables import BatchNorm, Segment
from modelbuild.formats.kmodel.model import Tensor
from modelbuild.kpu.emitting.constants import Packed, packed
from modelbuild.kpu.planning.chains import Chain
from modelbuild.kpu.planning.maps import dense_bytes, ram_bytes
from modelbuild.kpu.planning.storage import ALIGNMENT
from modelbuild.npu.planning.memory import up

KIND = "k210"
ACTIVATION_ALIGNMENT = 256
_COUNTED = 1 << 16  # bytes of a channel that its register can tell; the runtime does not use it


def kpu_module(model: FixedModel, chains: Sequence[Chain]) -> Module:
    """All chains, with the constants of their layers."""
    tables = {
        index: _tables(bind(model, model.operators[index])) for chain in chains for index in chain.layers
    }
    others = [values for item in tables.values() for values in (item.weights, item.norms)]
    constants = packed([item.activation for item in tables.values()], others, ACTIVATION_ALIGNMENT)
    functions = [_function(model, chain, tables, constants) for chain in chains]
    return linked(KIND, functions, constants.data, [("kpu", RAM_BYTES)])


@dataclass(frozen=True)
class _Tables:
    """The constants of a layer as they are stored."""

    weights: bytes
    norms: bytes
    activation: bytes


def _tables(bound: Bound) -> _Tables:
    norms = [BatchNorm(*row) for row in _rows(bound, "bn", "multiplier add shift")]
    segments = [Segment(*row) for row in _rows(bound, "segment", "start multiplier shift add")]
    return _Tables(
        np.ascontiguousarray(bound.constant("weight"), np.uint8).tobytes(),
        kpu_tables.pack_batch_norm(norms),
        kpu_tables.pack_activation(segments),
    )


def _rows(bound: Bound, prefix: str, names: str) -> list[tuple[int, ...]]:
    """One an entry of the table."""
    columns = [bound.constant(f"{prefix}_{name}").tolist() for name in names.split()]
    return list(zip(*columns, strict=True))


def _function(model: FixedModel, chain: Chain, tables: Mapping[int, _Tables], constants: Packed) -> Code:
    """Uploads, each before the layer that needs it; layers write to main memory what is read outside."""
    sources, results = (_ports(model, "input", chain.sources), _ports(model, "output", chain.outputs))
    records: list[KpuUpload | KpuConv2d] = []
    for index, uploaded in chain.steps():
        if uploaded is None:
            bound = bind(model, model.operators[index])
            records.append(_layer(bound, chain, results, tables[index], constants))
        else:
            tensor = model.tensors[uploaded]
            place = MemoryRange("kpu", "uint8", chain.address[uploaded], ram_bytes(tensor))
            records.append(KpuUpload(sources[uploaded], place, _shape(tensor)))
    inputs, outputs = (
        tuple(_port(model.tensors[name], place) for name, place in ports.items())
        for ports in (sources, results)
    )
    return Code(inputs, outputs, kpu_records.pack(records))


def _ports(model: FixedModel, pool: str, names: Sequence[str]) -> dict[str, MemoryRange]:
    found: dict[str, MemoryRange] = {}
    end = 0
    for name in names:
        size = dense_bytes(model.tensors[name])
        found[name] = MemoryRange(pool, "uint8", end, size)
        end += up(size, ALIGNMENT)
    return found


def _port(tensor: QuantizedTensor, place: MemoryRange) -> Tensor:
    return Tensor("uint8", tensor.shape, place.location, place.start, place.size)


def _layer(
    bound: Bound, chain: Chain, ports: Mapping[str, MemoryRange], tables: _Tables, constants: Packed
) -> KpuConv2d:
    def held(values: bytes, datatype: str) -> MemoryRange:
        return MemoryRange("rdata", datatype, constants.offset[values], len(values))

    source, made = bound.inputs[0], bound.output
    result = ports.get(made.name, kpu_records.NOWHERE)
    registers = kpu_geometry.layer(
        source.shape[1:],  # type: ignore[arg-type]  # four axes, as the arithmetic demands
        made.shape[1],
        kernel=bound.number("kernel"),
        depthwise=bool(bound.number("depthwise")),
        pool=bound.text("pool"),
        src=chain.address[source.name],
        dst=chain.address[made.name],
        pad_value=bound.number("pad_value"),
        arg_w=bound.number("arg_w"),
        arg_x=bound.number("arg_x"),
        arg_add=bound.number("arg_add"),
        shr_w=bound.number("shift_w"),
        shr_x=bound.number("shift_x"),
        send_out=made.name in ports,
    )
    return KpuConv2d(
        held(tables.weights, "uint8"),
        held(tables.norms, "uint64"),
        held(tables.activation, "uint8"),
        _counted(registers),
        result,
        source.shape[0],
    )


def _counted(registers: Layer) -> Layer:
    """With the low bits of the bytes of a channel where they are too many, as nncase has it."""
    return replace(registers, channel_bytes=(registers.channel_bytes - 1) % _COUNTED + 1)


def _shape(tensor: QuantizedTensor) -> Shape:
    batches, channels, height, width = tensor.shape
    return batches, channels, height, width
