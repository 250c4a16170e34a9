"""KNE, the FlatBuffer that holds models, commands and weights for KL730 and KL540 (namespace KneronKNE)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer
from modelbuild.formats.flatbuffer_writer import Field, Writer, offset
from modelbuild.formats.fw_info import Region
from modelbuild.formats.nef_tensor import NefTensor
from modelbuild.formats.setup_flatbuffer import operator_code, operator_name
from modelbuild.formats.setup_legacy import CpuNode

MAGIC = 19840308
SCHEMA = (3, 0, 7)  # of the vendor's reader that this follows
TARGETS = {1: "730", 2: "540", 3: "630"}
ALIGNMENT = 64  # since schema 2.6.3
_NAME = "KNE"
_BUFFERS = {1: "input", 2: "output", 3: "working"}
_NPU, _CPU = 0, 1  # core types
_NPU_UNIT, _CPU_UNIT, _LOOP_UNIT = 1, 2, 3  # eu_params_type
_FLOAT = 9  # scale_type


@dataclass(frozen=True)
class KneModel:
    """One model. Commands and weights of several NPU cores are kept one after the other in `units`."""

    id: int
    schema: tuple[int, int, int] | None
    compiler_version: str | None
    inputs: tuple[NefTensor, ...]
    outputs: tuple[NefTensor, ...]
    units: tuple[tuple[bytes, bytes], ...]  # (command, weight) of each NPU core
    cpu_nodes: tuple[CpuNode, ...]
    buffers: tuple[tuple[str, Region], ...]


@dataclass(frozen=True)
class Kne:
    """The whole block. `target` is the number that stands for the chip."""

    target: int
    chip: str | None
    compiler_version: str | None
    schema: tuple[int, int, int] | None
    models: tuple[KneModel, ...]


def decode(data: bytes) -> Kne:
    """Read the block. Errors: ModelbuildError with the offset inside it."""
    content = flatbuffer.root(data, _NAME)
    magic = content.integer(0, "I")
    if magic not in (0, MAGIC):
        raise flatbuffer.damaged(f"its magic number is {magic}, not {MAGIC}", _NAME, content.position)
    header = content.required(1, "header")
    models = tuple(_decode_model(table) for table in content.tables(2))
    if not models:
        raise flatbuffer.damaged("it has no models", _NAME, content.position)
    target = header.integer(0, "b")
    return Kne(target, TARGETS.get(target), header.string(1), _schema(header.table(2)), models)


def encode(platform: str, compiler_version: str, models: Sequence[KneModel]) -> bytes:
    """The block for these models."""
    target = next((code for code, name in TARGETS.items() if name == platform), None)
    if target is None:
        raise ModelbuildError(f"platform {platform} has no KNE form")
    writer = Writer()
    tables = [_encode_model(writer, model) for model in models]
    header = encode_header(writer, target, compiler_version, SCHEMA, _largest(models))
    root = writer.table([Field(0, "I", MAGIC), offset(1, header), offset(2, writer.offsets(tables))])
    return writer.finish(root)


def encode_header(
    writer: Writer,
    target: int,
    compiler_version: str | None,
    schema: tuple[int, int, int] | None,
    buffers: Sequence[tuple[str, Region]],
) -> int:
    """The table of the block's header; what is None is left out."""
    fields = [Field(0, "b", target)]
    if compiler_version is not None:
        fields.append(offset(1, writer.string(compiler_version)))
    if schema is not None:
        fields.append(offset(2, _encode_schema(writer, schema)))
    return writer.table([*fields, offset(3, _encode_buffers(writer, buffers))])


def _largest(models: Sequence[KneModel]) -> list[tuple[str, Region]]:
    """The buffers that serve every model: for each kind, from the lowest address to the highest end."""
    found = []
    for name in _BUFFERS.values():
        regions = [region for model in models for kind, region in model.buffers if kind == name]
        start = min(region.address for region in regions)
        found.append((name, Region(start, max(region.address + region.size for region in regions) - start)))
    return found


def _encode_schema(writer: Writer, schema: tuple[int, int, int] = SCHEMA) -> int:
    return writer.table([Field(slot, "I", value) for slot, value in enumerate(schema)])


def buffer_name(code: int) -> str:
    """The name of a buffer's code, or `unknown (n)`."""
    return _BUFFERS.get(code, f"unknown ({code})")


def _buffer_code(name: str) -> int:
    found = [code for code, known in _BUFFERS.items() if known == name]
    return found[0] if found else int(name.removeprefix("unknown (").removesuffix(")"))


def _encode_buffers(writer: Writer, buffers: Sequence[tuple[str, Region]]) -> int:
    return writer.offsets(
        [
            writer.table(
                [Field(0, "b", _buffer_code(name)), Field(1, "Q", region.address), Field(2, "Q", region.size)]
            )
            for name, region in buffers
        ]
    )


def _encode_model(writer: Writer, model: KneModel) -> int:
    cores = [_encode_npu(writer, index, unit) for index, unit in enumerate(model.units)]
    if model.cpu_nodes:
        cores.append(_encode_cpu(writer, len(cores), model.cpu_nodes))
    header = writer.table(
        [
            Field(0, "i", model.id),
            offset(1, writer.offsets([_encode_tensor(writer, item, 1) for item in model.inputs])),
            offset(2, writer.offsets([_encode_tensor(writer, item, 2) for item in model.outputs])),
            Field(3, "i", len(cores)),
            offset(7, writer.string(model.compiler_version or "")),
            offset(8, _encode_schema(writer)),
            offset(9, _encode_buffers(writer, model.buffers)),
        ]
    )
    return writer.table([offset(0, header), offset(1, writer.offsets(cores))])


def _encode_npu(writer: Writer, index: int, unit: tuple[bytes, bytes]) -> int:
    command, weight = (writer.content(data, ALIGNMENT) for data in unit)
    parameters = writer.table([offset(0, command), offset(1, weight)])
    return _encode_core(writer, index, _NPU, _NPU_UNIT, parameters)


def _encode_cpu(writer: Writer, index: int, nodes: Sequence[CpuNode]) -> int:
    operators = [
        writer.table([offset(0, writer.string(node.name)), Field(1, "I", operator_code(node.op))])
        for node in nodes
    ]
    return _encode_core(writer, index, _CPU, _CPU_UNIT, writer.table([offset(0, writer.offsets(operators))]))


def _encode_core(writer: Writer, index: int, kind: int, unit: int, parameters: int) -> int:
    header = writer.table([Field(0, "i", index), Field(6, "b", kind)])
    return writer.table([offset(0, header), Field(2, "B", unit), offset(3, parameters)])


def _encode_tensor(writer: Writer, tensor: NefTensor, location: int) -> int:
    quantization = writer.table(
        [
            offset(0, writer.numbers("b", [tensor.radix])),
            offset(1, writer.content(struct.pack("<f", tensor.scale))),
            Field(2, "I", 1),
            Field(3, "b", _FLOAT),
        ]
    )
    axes = range(len(tensor.shape))
    return writer.table(
        [
            offset(0, writer.string(tensor.name)),
            Field(1, "B", tensor.format),
            Field(2, "B", len(tensor.shape)),
            Field(3, "I", tensor.size),
            Field(4, "I", tensor.size),
            offset(5, writer.numbers("i", tensor.shape)),
            offset(7, quantization),
            Field(8, "b", location),
            Field(9, "Q", tensor.address),
            offset(10, writer.numbers("b", axes)),
            offset(11, writer.numbers("b", axes)),
            Field(12, "B", min(1, max(len(tensor.shape) - 1, 0))),
        ]
    )


def _decode_model(table: flatbuffer.Table) -> KneModel:
    header = table.required(0, "model header")
    units: list[tuple[bytes, bytes]] = []
    nodes: list[CpuNode] = []
    for core in table.tables(1):
        _decode_core(core, units, nodes)
    buffers = tuple(
        (buffer_name(item.integer(0, "b")), Region(item.integer(1, "Q"), item.integer(2, "Q")))
        for item in header.tables(9)
    )
    return KneModel(
        id=header.integer(0, "i"),
        schema=_schema(header.table(8)),
        compiler_version=header.string(7),
        inputs=tuple(_decode_tensor(item) for item in header.tables(1)),
        outputs=tuple(_decode_tensor(item) for item in header.tables(2)),
        units=tuple(units),
        cpu_nodes=tuple(nodes),
        buffers=buffers,
    )


def _decode_core(core: flatbuffer.Table, units: list[tuple[bytes, bytes]], nodes: list[CpuNode]) -> None:
    """Collect the units of a core and of the cores inside it."""
    kind = core.integer(2, "B")
    parameters = core.table(3)
    if parameters is not None and kind == _LOOP_UNIT:
        parameters = parameters.table(2)
    if parameters is not None and kind in (_NPU_UNIT, _LOOP_UNIT):
        units.append((parameters.content(0), parameters.content(1)))
    if parameters is not None and kind == _CPU_UNIT:
        nodes += [
            CpuNode(item.string(0) or "", operator_name(item.integer(1, "I")))
            for item in parameters.tables(0)
        ]
    for inner in core.tables(1):
        _decode_core(inner, units, nodes)


def _decode_tensor(table: flatbuffer.Table) -> NefTensor:
    quantization = table.table(7)
    radix = quantization.integers(0, "b") if quantization else ()
    scale = quantization.content(1) if quantization else b""
    shape, inverse = table.integers(5, "i"), table.integers(11, "b")
    if not all(0 <= axis < len(shape) for axis in inverse):
        raise flatbuffer.damaged("a tensor's axes refer to axes it does not have", _NAME, table.position)
    return NefTensor(
        name=table.string(0) or "",
        shape=tuple(shape[axis] for axis in inverse) if inverse else shape,
        format=table.integer(1, "B"),
        radix=radix[0] if radix else 0,
        scale=struct.unpack_from("<f", scale)[0] if len(scale) >= 4 else 1.0,
        address=table.integer(9, "Q"),
        size=table.integer(3, "I"),
    )


def _schema(table: flatbuffer.Table | None) -> tuple[int, int, int] | None:
    if table is None:
        return None
    return table.integer(0, "I"), table.integer(1, "I"), table.integer(2, "I")
