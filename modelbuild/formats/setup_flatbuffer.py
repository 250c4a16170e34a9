"""setup.bin as a FlatBuffer (KL720 since toolchain 0.20, KL530, KL630): namespace KneronSetup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.formats import flatbuffer
from modelbuild.formats.flatbuffer_schema import Schema, UnknownField, Walked, walk
from modelbuild.formats.flatbuffer_writer import Field, Writer, offset
from modelbuild.formats.fw_info import Record
from modelbuild.formats.kneron_operators import operator_code, operator_name
from modelbuild.formats.kneron_schemas import SETUP as SCHEMA_TABLES
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
ABSOLUTE, RELATIVE = 1, 2
ADDRESSING = {0: "default", ABSOLUTE: "absolute", RELATIVE: "relative"}
ENCRYPTION = {0: "default", 1: "none", 2: "eFuse key", 3: "custom key"}  # of a model; KNE has the same
_NO_ENTRY = 0xFFFFFFFF


@dataclass(frozen=True)
class FlatbufferSetup:
    """What the block says. `segments` are (name, start, size); tensors' addresses are entries in segments.

    `const_inputs` are the constants that the NPU reads as tensors, `unknown` the fields that no schema has.
    """

    platform: str | None
    chip: str | None
    schema: tuple[int, int, int]
    addressing: int
    segments: tuple[tuple[str, int, int], ...]
    inputs: tuple[NefTensor, ...]
    outputs: tuple[NefTensor, ...]
    cpu_nodes: tuple[CpuNode, ...]
    encryption_mode: int
    encryption_key: bytes = b""
    file_schema: tuple[int, int, int] | None = None
    run_value: int = 0
    const_inputs: tuple[NefTensor, ...] = ()
    unknown: tuple[UnknownField, ...] = ()

    @property
    def addressing_mode(self) -> str:
        """The addressing mode in words."""
        return ADDRESSING.get(self.addressing, f"unknown ({self.addressing})")

    @property
    def encryption(self) -> str:
        """How the binaries of this model are encrypted, in words."""
        return encryption_name(self.encryption_mode)


def encryption_name(mode: int) -> str:
    """What a model's encryption mode means, or `unknown (n)`."""
    return ENCRYPTION.get(mode, f"unknown ({mode})")


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
    file_version = header.table(6)
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
        encryption_key=b"" if encryption is None else encryption.content(1),
        file_schema=None if file_version is None else _triple(file_version),
        run_value=header.integer(7, "I"),
        const_inputs=tuple(_decode_tensor(table) for table in content.tables(5)),
        unknown=walked(data).unknown,
    )


def walked(data: bytes) -> Walked:
    """Every part of the block."""
    return walk(flatbuffer.root(data, _NAME), SCHEMA_TABLES)


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


def _triple(table: flatbuffer.Table) -> tuple[int, int, int]:
    return table.integer(0, "I"), table.integer(1, "I"), table.integer(2, "I")


def _decode_tensor(table: flatbuffer.Table) -> NefTensor:
    quantization, buffer = table.table(4), table.table(5)
    tables = quantization.tables(0) if quantization else ()
    points = tuple((point.real(0), point.integer(1, "i")) for point in tables)
    shape = table.integers(2, "i")
    return NefTensor(
        name=table.string(0) or "",
        shape=_onnx_shape(table, shape),
        format=table.integer(1, "I"),
        radix=points[0][1] if points else 0,
        scale=points[0][0] if points else 1.0,
        address=buffer.integer(0, "I", _NO_ENTRY) if buffer else _NO_ENTRY,
        size=buffer.integer(1, "i") if buffer else 0,
        npu_shape=shape,
        points=points,
        location=_segment_name(buffer.integer(2, "b")) if buffer else "",
        constant_size=(table.content_span(6) or (0, 0))[1],
    )


def _onnx_shape(table: flatbuffer.Table, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape as the source model has it: the raw shape, or the NPU's with its axes put back."""
    raw, inverse = table.integers(3, "i"), table.integers(8, "i")
    if raw or not inverse:
        return raw or shape
    if not all(0 <= axis < len(shape) for axis in inverse):
        raise flatbuffer.damaged("a tensor's axes refer to axes it does not have", _NAME, table.position)
    return tuple(shape[axis] for axis in inverse)


def _decode_operator(table: flatbuffer.Table) -> CpuNode:
    code = table.integer(2, "I")
    return CpuNode(
        name=table.string(0) or "",
        op=operator_name(code),
        code=code,
        layer=table.integer(1, "I"),
        options=options_name(table.integer(3, "B"), SCHEMA_TABLES),
        inputs=tuple(tensor.string(0) or "" for tensor in table.tables(5)),
        outputs=tuple(tensor.string(0) or "" for tensor in table.tables(6)),
    )


def options_name(code: int, schema: Schema) -> str:
    """The kind of an operator's options, empty for none."""
    if not code:
        return ""
    return schema.member("BuiltinOptions", code) or f"unknown ({code})"
