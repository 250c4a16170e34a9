"""Reads KNE, the FlatBuffer that holds models, commands and weights for KL730 and KL540 (KneronKNE)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer, fw_info, kneron_schemas
from modelbuild.formats.flatbuffer_schema import Schema, UnknownField, Walked, walk
from modelbuild.formats.fw_info import Region
from modelbuild.formats.kneron_operators import operator_name
from modelbuild.formats.nef_tensor import NefTensor
from modelbuild.formats.setup_flatbuffer import options_name
from modelbuild.formats.setup_legacy import CpuNode

MAGIC = 19840308
SCHEMA = (3, 0, 7)  # of the vendor's reader that this follows
TARGETS = {1: "730", 2: "540", 3: "630"}
ALIGNMENT = 64  # of binaries, since schema 2.6.3
_NAME = "KNE"
WIDE_SINCE = (3, 0, 4)  # addresses of 64 bits, and no compact strides
BUFFERS = {1: "input", 2: "output", 3: "working", 4: "weight", 5: "constant input", 6: "CPU temporary"}
_DMA = {1: "read", 2: "write"}
NPU, CPU = 0, 1  # core types
_CORES = {NPU: "npu", CPU: "cpu", 2: "loop", 3: "npu and cpu"}
NPU_UNIT, CPU_UNIT, LOOP_UNIT = 1, 2, 3  # eu_params_type
_UNITS = {0: "", NPU_UNIT: "npu", CPU_UNIT: "cpu", LOOP_UNIT: "loop"}
FLOAT = 9  # scale_type


@dataclass(frozen=True)
class DmaBank:
    """A bank of the NPU's memory access: its number, whether it reads or writes, and which buffer."""

    bank: int
    kind: str
    buffer: str


@dataclass(frozen=True)
class KneCore:
    """A part of a model that one unit runs. `kind` is what its header says and `unit` what its parameters are
    for: npu, cpu, loop. The lists are ids of cores; `trips` is how often a loop runs at most."""

    id: int
    kind: str
    unit: str
    dependency: tuple[int, ...]
    parent: tuple[int, ...]
    children: tuple[int, ...]
    inputs: tuple[NefTensor, ...]
    outputs: tuple[NefTensor, ...]
    command_size: int
    weight_size: int
    trips: int | None
    inner: tuple[KneCore, ...]


@dataclass(frozen=True)
class KneModel:
    """One model. Commands and weights of several NPU cores are kept one after the other in `units`.

    What stands behind `buffers` is read, and not written by `encode`: cores as they depend on each other,
    banks of memory access, the model's own encryption, constants that the NPU reads as tensors.
    """

    id: int
    schema: tuple[int, int, int] | None
    compiler_version: str | None
    inputs: tuple[NefTensor, ...]
    outputs: tuple[NefTensor, ...]
    units: tuple[tuple[bytes, bytes], ...]  # (command, weight) of each NPU core
    cpu_nodes: tuple[CpuNode, ...]
    buffers: tuple[tuple[str, Region], ...]
    cores: tuple[KneCore, ...] = ()
    core_number: int = 0
    run_value: int = 0
    dma_banks: tuple[DmaBank, ...] = ()
    encryption_mode: int = 0
    encryption_key: bytes = b""
    const_input: bytes = b""


@dataclass(frozen=True)
class Kne:
    """The whole block. `target` is the number that stands for the chip; `old` tells schemas before 3.0.4."""

    target: int
    chip: str | None
    compiler_version: str | None
    schema: tuple[int, int, int] | None
    models: tuple[KneModel, ...]
    buffers: tuple[tuple[str, Region], ...] = ()
    unknown: tuple[UnknownField, ...] = ()
    old: bool = False


def decode(data: bytes) -> Kne:
    """Read the block. Errors: ModelbuildError with the offset inside it."""
    content = flatbuffer.root(data, _NAME)
    magic = content.integer(0, "I")
    if magic not in (0, MAGIC):
        raise flatbuffer.damaged(f"its magic number is {magic}, not {MAGIC}", _NAME, content.position)
    header = content.required(1, "header")
    start, count = content.span(2, 4)
    if count > fw_info.MAX_MODELS:
        raise flatbuffer.damaged(f"it claims {count} models", _NAME, start - 4)
    tables = content.tables(2)
    if not tables:
        raise flatbuffer.damaged("it has no models", _NAME, content.position)
    old = _is_old(tables)
    models = tuple(_decode_model(table, TensorLayout(int(old), "I" if old else "Q")) for table in tables)
    target = header.integer(0, "b")
    return Kne(
        target,
        TARGETS.get(target),
        header.string(1),
        _schema(header.table(2)),
        models,
        tuple(decode_buffer(item) for item in header.tables(3)),
        walk(flatbuffer.root(data, _NAME), schema(old)).unknown,
        old,
    )


def walked(data: bytes, block: Kne) -> Walked:
    """Every part of a block that was read."""
    return walk(flatbuffer.root(data, _NAME), schema(block.old))


def schema(old: bool) -> Schema:
    """The schema of a block; `old` for those before 3.0.4."""
    return kneron_schemas.OLD_KNE if old else kneron_schemas.KNE


def buffer_name(code: int) -> str:
    """The name of a buffer's code, or `unknown (n)`."""
    return BUFFERS.get(code, f"unknown ({code})")


def _is_old(models: Sequence[flatbuffer.Table]) -> bool:
    """Whether tensors are as before schema 3.0.4: by the models' versions, and by where the first tensor has
    its quantization."""
    headers = [table.required(0, "model header") for table in models]
    schemas = [_schema(header.table(8)) for header in headers]
    if not any(schema and (0, 0, 0) < schema < WIDE_SINCE for schema in schemas):
        return False
    tensors = (tensor for header in headers for slot in (1, 2) for tensor in header.tables(slot))
    first = next(tensors, None)
    return first is None or (_has_table(first, 8) and not _has_table(first, 7))


def _has_table(table: flatbuffer.Table, slot: int) -> bool:
    try:
        return table.table(slot) is not None
    except ModelbuildError:
        return False


def _decode_model(table: flatbuffer.Table, tensors: TensorLayout) -> KneModel:
    header = table.required(0, "model header")
    units: list[tuple[bytes, bytes]] = []
    nodes: list[CpuNode] = []
    cores = tuple(_decode_core(core, tensors, units, nodes) for core in table.tables(1))
    encryption = header.table(6)
    return KneModel(
        id=header.integer(0, "i"),
        schema=_schema(header.table(8)),
        compiler_version=header.string(7),
        inputs=tuple(tensors.decode(item) for item in header.tables(1)),
        outputs=tuple(tensors.decode(item) for item in header.tables(2)),
        units=tuple(units),
        cpu_nodes=tuple(nodes),
        buffers=tuple(decode_buffer(item) for item in header.tables(9)),
        cores=cores,
        core_number=header.integer(3, "i"),
        run_value=header.integer(4, "I"),
        dma_banks=tuple(_decode_bank(item) for item in header.tables(5)),
        encryption_mode=0 if encryption is None else encryption.integer(0, "b"),
        encryption_key=b"" if encryption is None else encryption.content(1),
        const_input=table.content(2),
    )


def decode_buffer(table: flatbuffer.Table) -> tuple[str, Region]:
    """(name, region) of a BufferInfo, whose numbers had 32 bits before schema 3.0.4."""
    words = [table.integer(slot, "Q" if table.room(slot) >= 8 else "I") for slot in (1, 2)]
    return buffer_name(table.integer(0, "b")), Region(words[0], words[1])


def _decode_bank(table: flatbuffer.Table) -> DmaBank:
    kind = table.integer(1, "b")
    return DmaBank(
        table.integer(0, "b"), _DMA.get(kind, f"unknown ({kind})"), buffer_name(table.integer(2, "b"))
    )


def _decode_core(
    core: flatbuffer.Table,
    tensors: TensorLayout,
    units: list[tuple[bytes, bytes]],
    nodes: list[CpuNode],
) -> KneCore:
    """A core and those inside it; binaries and CPU nodes of all are added to the lists."""
    header, kind, parameters = core.table(0), core.integer(2, "B"), core.table(3)
    found = 0
    trips = None
    if parameters is not None and kind == LOOP_UNIT:
        trips = parameters.integer(0, "I")
        parameters = parameters.table(2)
    if parameters is not None and kind in (NPU_UNIT, LOOP_UNIT):
        units.append((parameters.content(0), parameters.content(1)))
        found = 1
    if parameters is not None and kind == CPU_UNIT:
        nodes += [_decode_operator(item) for item in parameters.tables(0)]
    code = header.integer(6, "b") if header else 0
    return KneCore(
        id=header.integer(0, "i") if header else 0,
        kind=_CORES.get(code, f"unknown ({code})"),
        unit=_UNITS.get(kind, f"unknown ({kind})"),
        dependency=header.integers(1, "i") if header else (),
        parent=header.integers(4, "i") if header else (),
        children=header.integers(5, "i") if header else (),
        inputs=tuple(tensors.decode(item) for item in header.tables(2)) if header else (),
        outputs=tuple(tensors.decode(item) for item in header.tables(3)) if header else (),
        command_size=len(units[-1][0]) if found else 0,
        weight_size=len(units[-1][1]) if found else 0,
        trips=trips,
        inner=tuple(_decode_core(item, tensors, units, nodes) for item in core.tables(1)),
    )


def _decode_operator(table: flatbuffer.Table) -> CpuNode:
    code = table.integer(1, "I")
    return CpuNode(
        name=table.string(0) or "",
        op=operator_name(code),
        code=code,
        options=options_name(table.integer(2, "B"), kneron_schemas.KNE),
        inputs=tuple(tensor.string(0) or "" for tensor in table.tables(4)),
        outputs=tuple(tensor.string(0) or "" for tensor in table.tables(5)),
    )


@dataclass(frozen=True)
class TensorLayout:
    """Where a tensor's fields are: schemas before 3.0.4 had one more slot, `stride_compact`, and addresses of
    32 bits (by the vendor's release notes; the slot's place is inferred)."""

    shift: int
    address: str

    def decode(self, table: flatbuffer.Table) -> NefTensor:
        """Read a tensor. Errors: ModelbuildError with the offset."""
        shift = self.shift
        points = _points(table.table(7 + shift))
        shape, inverse = table.integers(5, "i"), table.integers(11 + shift, "b")
        if not all(0 <= axis < len(shape) for axis in inverse):
            raise flatbuffer.damaged("a tensor's axes refer to axes it does not have", _NAME, table.position)
        return NefTensor(
            name=table.string(0) or "",
            shape=tuple(shape[axis] for axis in inverse) if inverse else shape,
            format=table.integer(1, "B"),
            radix=points[0][1] if points else 0,
            scale=points[0][0] if points else 1.0,
            address=table.integer(9 + shift, self.address),
            size=table.integer(3, "I"),
            npu_shape=shape,
            points=points,
            location=buffer_name(table.integer(8 + shift, "b")),
            aligned_size=table.integer(4, "I"),
            strides=table.integers(6 + shift, "I"),
        )


def _points(quantization: flatbuffer.Table | None) -> tuple[tuple[float, int], ...]:
    """(scale, radix) pairs: one, or one a channel; of several radixes and one scale, each with that scale."""
    if quantization is None:
        return ()
    radixes, raw = quantization.integers(0, "b"), quantization.content(1)
    floats = quantization.integer(3, "b") in (0, FLOAT)
    scales = struct.unpack_from(f"<{len(raw) // 4}f", raw) if floats else ()
    count = max(len(radixes), len(scales))
    radixes = radixes * count if len(radixes) == 1 else radixes
    scales = scales * count if len(scales) == 1 else scales
    return tuple(
        (scales[index] if index < len(scales) else 1.0, radixes[index] if index < len(radixes) else 0)
        for index in range(count)
    )


def _schema(table: flatbuffer.Table | None) -> tuple[int, int, int] | None:
    if table is None:
        return None
    return table.integer(0, "I"), table.integer(1, "I"), table.integer(2, "I")
