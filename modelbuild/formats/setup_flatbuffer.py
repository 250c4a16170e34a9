"""setup.bin as a FlatBuffer (KL720 since toolchain 0.20, KL530, KL630): namespace KneronSetup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer
from modelbuild.formats.flatbuffer_writer import Field, Writer, offset
from modelbuild.formats.fw_info import Record
from modelbuild.formats.nef_header import PLATFORMS
from modelbuild.formats.nef_tensor import NefTensor
from modelbuild.formats.setup_legacy import CpuNode

MAGIC = 19840308
SCHEMA = (1, 2, 35)  # of the vendor's reader that this follows
_SCHEMA_DEFAULTS = (1, 2, 31)
_NAME = "NEF setup"
_SEGMENTS = {1: "input", 2: "output", 3: "working", 4: "command", 5: "weight", 6: "setup"}
_INPUT, _OUTPUT = 1, 2
_NOT_ENCRYPTED = 1
ABSOLUTE, RELATIVE = 1, 2  # addressing modes
_NO_ENTRY = 0xFFFFFFFF
# Operator hashes whose names the vendor's header gives (kneron_setup_reader.h).
_OPERATORS = {
    1432940175: "Conv",
    1683102524: "Add",
    453006203: "Gemm",
    3839042377: "MatMul",
    1379713085: "Softmax",
    1187165994: "KneronResize",
}


@dataclass(frozen=True)
class FlatbufferSetup:
    """What the block says. `segments` are (name, start, size); tensors' addresses are entries in segments."""

    platform: str | None
    chip: str | None
    schema: tuple[int, int, int]
    addressing: int
    segments: tuple[tuple[str, int, int], ...]
    inputs: tuple[NefTensor, ...]
    outputs: tuple[NefTensor, ...]
    cpu_nodes: tuple[CpuNode, ...]
    encryption_mode: int


def decode(data: bytes) -> FlatbufferSetup:
    """Read the block. Errors: ModelbuildError with the offset inside it."""
    content = flatbuffer.root(data, _NAME)
    magic = content.integer(0, "I", MAGIC)
    if magic != MAGIC:
        raise flatbuffer.damaged(f"its magic number is {magic}, not {MAGIC}", _NAME, content.position)
    header = content.required(1, "header")
    target = header.integer(1, "i")
    version = header.table(2)
    schema = [version.integer(slot, "I", _SCHEMA_DEFAULTS[slot]) if version else 0 for slot in range(3)]
    encryption = header.table(4)
    segments = tuple(
        (_segment_name(table.integer(0, "b")), table.integer(1, "I"), table.integer(2, "I"))
        for table in header.tables(3)
    )
    return FlatbufferSetup(
        platform=header.string(0),
        chip=PLATFORMS[target - 1] if 1 <= target <= len(PLATFORMS) else None,
        schema=(schema[0], schema[1], schema[2]),
        addressing=header.integer(5, "b"),
        segments=segments,
        inputs=tuple(_decode_tensor(table) for table in content.tables(2)),
        outputs=tuple(_decode_tensor(table) for table in content.tables(3)),
        cpu_nodes=tuple(_decode_operator(table) for table in content.tables(4)),
        encryption_mode=0 if encryption is None else encryption.integer(0, "b"),
    )


def addresses(data: bytes) -> list[tuple[int, str, int]]:
    """(offset, region, value) of every word that holds an address: the starts of the segments, and where
    addressing is absolute the entries of the tensors (region "").

    Errors: ModelbuildError with the offset inside the block."""
    content = flatbuffer.root(data, _NAME)
    header = content.required(1, "header")
    words = [
        (table, 1, _segment_name(table.integer(0, "b")), table.integer(1, "I")) for table in header.tables(3)
    ]
    if header.integer(5, "b") == ABSOLUTE:
        tensors = [tensor for slot in (2, 3, 5) for tensor in content.tables(slot)]
        buffers = [buffer for tensor in tensors if (buffer := tensor.table(5)) is not None]
        words += [(buffer, 0, "", buffer.integer(0, "I", _NO_ENTRY)) for buffer in buffers]
    places = ((table.offset(slot), region, value) for table, slot, region, value in words)
    found = {place: (region, value) for place, region, value in places if place is not None}
    return [(place, *known) for place, known in found.items() if known[1] != _NO_ENTRY]


def addressing(data: bytes) -> int:
    """The addressing mode: `ABSOLUTE`, `RELATIVE`, 0 where the block does not say, or a code nobody knows."""
    return flatbuffer.root(data, _NAME).required(1, "header").integer(5, "b")


def encode(
    platform: str,
    record: Record,
    inputs: Sequence[NefTensor],
    outputs: Sequence[NefTensor],
    cpu_nodes: Sequence[CpuNode],
) -> bytes:
    """The block for a model whose regions are in `record`; tensors' addresses count from their segment."""
    writer = Writer()
    header = _encode_header(writer, platform, record)
    fields = [
        Field(0, "I", MAGIC),
        offset(1, header),
        offset(2, writer.offsets([_encode_tensor(writer, tensor, _INPUT) for tensor in inputs])),
        offset(3, writer.offsets([_encode_tensor(writer, tensor, _OUTPUT) for tensor in outputs])),
    ]
    if cpu_nodes:
        fields.append(offset(4, writer.offsets([_encode_operator(writer, node) for node in cpu_nodes])))
    return writer.finish(writer.table(fields))


def operator_name(code: int) -> str:
    """The operator that a 32-bit hash stands for, or the hash in hexadecimal; empty for 0, which is none."""
    return _OPERATORS.get(code, f"0x{code:08x}" if code else "")


def operator_code(op: str) -> int:
    """The vendor's hash of an operator where it is known, else 0."""
    return next((code for code, name in _OPERATORS.items() if name == op), 0)


def _segment_name(code: int) -> str:
    return _SEGMENTS.get(code, f"unknown ({code})")


def _encode_header(writer: Writer, platform: str, record: Record) -> int:
    name = writer.string(f"KL{platform}")
    regions = (record.input, record.output, record.working, record.command, record.weight)
    segments = [
        writer.table([Field(0, "b", code), Field(1, "I", region.address), Field(2, "I", region.size)])
        for code, region in zip(_SEGMENTS, regions, strict=False)
    ]
    return writer.table(
        [
            offset(0, name),
            Field(1, "i", PLATFORMS.index(platform) + 1),
            offset(2, writer.table([Field(slot, "I", value) for slot, value in enumerate(SCHEMA)])),
            offset(3, writer.offsets(segments)),
            offset(4, writer.table([Field(0, "b", _NOT_ENCRYPTED)])),
            Field(5, "b", RELATIVE),
        ]
    )


def _encode_tensor(writer: Writer, tensor: NefTensor, segment: int) -> int:
    point = writer.table([Field(0, "f", tensor.scale), Field(1, "i", tensor.radix)])
    quantization = writer.table([offset(0, writer.offsets([point]))])
    buffer = writer.table([Field(0, "I", tensor.address), Field(1, "i", tensor.size), Field(2, "b", segment)])
    return writer.table(
        [
            offset(0, writer.string(tensor.name)),
            Field(1, "I", tensor.format),
            offset(2, writer.numbers("i", tensor.shape)),
            offset(3, writer.numbers("i", tensor.shape)),
            offset(4, quantization),
            offset(5, buffer),
        ]
    )


def _encode_operator(writer: Writer, node: CpuNode) -> int:
    return writer.table([offset(0, writer.string(node.name)), Field(2, "I", operator_code(node.op))])


def _decode_tensor(table: flatbuffer.Table) -> NefTensor:
    quantization, buffer = table.table(4), table.table(5)
    points = quantization.tables(0) if quantization else ()
    shape, raw = table.integers(2, "i"), table.integers(3, "i")
    inverse = table.integers(8, "i")
    if inverse:
        if not all(0 <= axis < len(shape) for axis in inverse):
            raise ModelbuildError("a tensor's axes refer to axes it does not have", where=_NAME)
        shape = tuple(shape[axis] for axis in inverse)
    return NefTensor(
        name=table.string(0) or "",
        shape=shape or raw,
        format=table.integer(1, "I"),
        radix=points[0].integer(1, "i") if points else 0,
        scale=points[0].real(0) if points else 1.0,
        address=buffer.integer(0, "I", _NO_ENTRY) if buffer else _NO_ENTRY,
        size=buffer.integer(1, "i") if buffer else 0,
    )


def _decode_operator(table: flatbuffer.Table) -> CpuNode:
    return CpuNode(table.string(0) or "", operator_name(table.integer(2, "I")))
