"""Writes KNE blocks around programs of modelbuild's own."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from modelbuild.errors import ModelbuildError
from modelbuild.formats import kne
from modelbuild.formats.flatbuffer_writer import Field, Writer, offset
from modelbuild.formats.fw_info import Region
from modelbuild.formats.kne import KneModel
from modelbuild.formats.kneron_operators import operator_code
from modelbuild.formats.nef_tensor import NefTensor
from modelbuild.formats.setup_legacy import CpuNode

_OF_MODELS = ("input", "output", "working")


def encode(platform: str, compiler_version: str, models: Sequence[KneModel]) -> bytes:
    """The block for these models."""
    target = next((code for code, name in kne.TARGETS.items() if name == platform), None)
    if target is None:
        raise ModelbuildError(f"platform {platform} has no KNE form")
    writer = Writer()
    tables = [_encode_model(writer, model) for model in models]
    header = encode_header(writer, target, compiler_version, kne.SCHEMA, _largest(models))
    root = writer.table([Field(0, "I", kne.MAGIC), offset(1, header), offset(2, writer.offsets(tables))])
    return writer.finish(root)


def encode_header(
    writer: Writer,
    target: int,
    compiler_version: str | None,
    schema: tuple[int, int, int] | None,
    buffers: Sequence[tuple[str, Region]],
    *,
    wide: bool = True,
) -> int:
    """The table of the block's header; what is None is left out. Without `wide` addresses have 32 bits."""
    fields = [Field(0, "b", target)]
    if compiler_version is not None:
        fields.append(offset(1, writer.string(compiler_version)))
    if schema is not None:
        fields.append(offset(2, _encode_schema(writer, schema)))
    return writer.table([*fields, offset(3, _encode_buffers(writer, buffers, wide))])


def _largest(models: Sequence[KneModel]) -> list[tuple[str, Region]]:
    """The buffers that serve every model: for each kind, from the lowest address to the highest end."""
    found = []
    for name in _OF_MODELS:
        regions = [region for model in models for kind, region in model.buffers if kind == name]
        start = min(region.address for region in regions)
        found.append((name, Region(start, max(region.address + region.size for region in regions) - start)))
    return found


def _encode_schema(writer: Writer, schema: tuple[int, int, int] = kne.SCHEMA) -> int:
    return writer.table([Field(slot, "I", value) for slot, value in enumerate(schema)])


def _encode_buffers(writer: Writer, buffers: Sequence[tuple[str, Region]], wide: bool = True) -> int:
    word = "Q" if wide else "I"
    return writer.offsets(
        [
            writer.table(
                [
                    Field(0, "b", _buffer_code(name)),
                    Field(1, word, region.address),
                    Field(2, word, region.size),
                ]
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
    command, weight = (writer.content(data, kne.ALIGNMENT) for data in unit)
    parameters = writer.table([offset(0, command), offset(1, weight)])
    return _encode_core(writer, index, kne.NPU, kne.NPU_UNIT, parameters)


def _encode_cpu(writer: Writer, index: int, nodes: Sequence[CpuNode]) -> int:
    operators = [
        writer.table([offset(0, writer.string(node.name)), Field(1, "I", operator_code(node.op))])
        for node in nodes
    ]
    return _encode_core(
        writer, index, kne.CPU, kne.CPU_UNIT, writer.table([offset(0, writer.offsets(operators))])
    )


def _encode_core(writer: Writer, index: int, kind: int, unit: int, parameters: int) -> int:
    header = writer.table([Field(0, "i", index), Field(6, "b", kind)])
    return writer.table([offset(0, header), Field(2, "B", unit), offset(3, parameters)])


def _encode_tensor(writer: Writer, tensor: NefTensor, location: int) -> int:
    quantization = writer.table(
        [
            offset(0, writer.numbers("b", [tensor.radix])),
            offset(1, writer.content(struct.pack("<f", tensor.scale))),
            Field(2, "I", 1),
            Field(3, "b", kne.FLOAT),
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


def _buffer_code(name: str) -> int:
    found = [code for code, known in kne.BUFFERS.items() if known == name]
    return found[0] if found else int(name.removeprefix("unknown (").removesuffix(")"))
