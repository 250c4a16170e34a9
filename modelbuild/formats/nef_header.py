"""The outer file of a NEF: header, list of models and the two binaries, a FlatBuffer with a CRC-32 tail."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace

from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer, fw_info
from modelbuild.formats.flatbuffer_schema import UnknownField, walk
from modelbuild.formats.flatbuffer_writer import Field, Writer, offset
from modelbuild.formats.kneron_schemas import OUTER

MAGIC = 19840308
PLATFORMS = ("520", "720", "530", "730", "630", "540")  # in the order of the target enum
_SHIFTED_SINCE = (2, 2, 1)  # this schema put DEFAULT = 0 before the chips
_ALIGNED_SINCE = (1, 0, 0)  # this schema aligned all_models to 32 bytes
ALIGNMENT = 32


@dataclass(frozen=True)
class ModelInfo:
    """One entry of the list of models. Absent strings are None."""

    name: str | None
    id: int
    version: str | None


@dataclass(frozen=True)
class NefHeader:
    """The header table. `schema` is (major, minor, revision), or None where the table is absent."""

    platform: str | None
    target: int
    crc: int
    kn_number: int
    encryption_mode: int
    compiler_version: str | None
    toolchain_version: str | None
    schema: tuple[int, int, int] | None
    uuid: int
    solution_id: str | None = None
    solution_tag: str | None = None

    @property
    def chip(self) -> str | None:
        """The platform that the target number means, "720" for instance; None if the number is unknown."""
        return self.chips[0]

    @property
    def chips(self) -> tuple[str | None, str | None]:
        """The platform as the vendor's reader takes the number, and as the order of versions would have it.

        They differ for schemas such as 2.3.0 and 3.0.0, of which no file is known."""
        schema = self.schema or (0, 0, 0)
        shifts = (_shifted(schema), schema >= _SHIFTED_SINCE)
        indices = [self.target - shift for shift in shifts]
        first, second = (PLATFORMS[index] if 0 <= index < len(PLATFORMS) else None for index in indices)
        return first, second


def _shifted(schema: tuple[int, int, int]) -> bool:
    """Whether the target enum begins with DEFAULT, as the vendor's reader tells it: each number by itself."""
    return all(number >= since for number, since in zip(schema, _SHIFTED_SINCE, strict=True))


@dataclass(frozen=True)
class NefFile:
    """The outer file. `tail` is the stored CRC-32, None for 2020-era files that have none; `infos` is None
    where the list of models is absent.

    `source` are the bytes that were read, which writing starts from; `unknown` the fields in them that no
    schema has. Neither is compared.
    """

    header: NefHeader
    infos: tuple[ModelInfo, ...] | None
    firmware_info: bytes
    all_models: bytes
    tail: int | None
    source: bytes = field(default=b"", compare=False, repr=False)
    unknown: tuple[UnknownField, ...] = field(default=(), compare=False)

    @property
    def aligned(self) -> bool:
        """Whether the schema asks for all_models to start on a multiple of 32 bytes."""
        return (self.header.schema or (0, 0, 0)) >= _ALIGNED_SINCE


def target_number(platform: str, schema: tuple[int, int, int]) -> int:
    """The target enum's value for a platform such as "720" in files of that schema."""
    if platform not in PLATFORMS:
        known = ", ".join(f"kl{known}" for known in PLATFORMS)
        raise ModelbuildError(f"NEF files are not for {platform!r}", advice=f"name one of {known}")
    return PLATFORMS.index(platform) + _shifted(schema)


def is_nef(data: flatbuffer.Readable) -> bool:
    """Whether the bytes have the shape of a NEF: its root table with a header and binaries of its own."""
    try:
        content = flatbuffer.root(data, "NEF")
        if content.integer(0, "I", MAGIC) != MAGIC:
            return False
        binary, header = content.table(3), content.table(1)
        return binary is not None and binary.content_span(1) is not None and header is not None
    except ModelbuildError:
        return False


def decode(data: bytes) -> NefFile:
    """Read the outer file. Checksums are read, not judged. Errors: ModelbuildError with the offset."""
    data = bytes(data)
    content = flatbuffer.root(data, "NEF")
    magic = content.integer(0, "I", MAGIC)
    if magic != MAGIC:
        raise flatbuffer.damaged(f"its magic number is {magic}, not {MAGIC}", "NEF", content.position)
    header = _decode_header(content.required(1, "header"))
    binaries = content.required(3, "model_bin table")
    start, count = content.span(2, 4)
    if count > fw_info.MAX_MODELS:
        raise flatbuffer.damaged(f"its list claims {count} models", "NEF", start - 4)
    infos = tuple(
        ModelInfo(table.string(0), table.integer(1, "i"), table.string(2)) for table in content.tables(2)
    )
    walked = walk(flatbuffer.root(data, "NEF"), OUTER)
    end = max(content.buffer.end, *(part.offset + part.size for part in walked.parts))
    return NefFile(
        header,
        infos if content.has(2) else None,
        binaries.content(0),
        binaries.content(1),
        _tail(data, end),
        data,
        walked.unknown,
    )


def encode(file: NefFile) -> bytes:
    """The bytes of the outer file, laid out as the vendor's compiler does it; `source` is not looked at."""
    writer = Writer()
    header = _encode_header(writer, file.header)
    infos = [_encode_info(writer, info) for info in file.infos or ()]
    fields = [offset(1, header)]
    if file.infos is not None:
        fields.append(offset(2, writer.offsets(infos)))
    firmware_info = writer.content(file.firmware_info)
    all_models = writer.content(file.all_models, ALIGNMENT if file.aligned else 1)
    fields.append(offset(3, writer.table([offset(0, firmware_info), offset(1, all_models)])))
    data = writer.finish(writer.table(fields))
    return data if file.tail is None else data + struct.pack("<I", file.tail)


def seal(file: NefFile) -> bytes:
    """The bytes of the outer file with a right CRC-32 tail."""
    data = encode(replace(file, tail=None))
    return data + struct.pack("<I", zlib.crc32(data))


def _decode_header(table: flatbuffer.Table) -> NefHeader:
    version = table.table(7)
    schema = None if version is None else tuple(version.integer(slot, "I") for slot in range(3))
    return NefHeader(
        platform=table.string(0),
        target=table.integer(1, "i"),
        crc=table.integer(2, "I"),
        kn_number=table.integer(3, "I"),
        encryption_mode=table.integer(4, "i"),
        compiler_version=table.string(5),
        toolchain_version=table.string(6),
        schema=None if schema is None else (schema[0], schema[1], schema[2]),
        uuid=table.integer(8, "I"),
        solution_id=table.string(9),
        solution_tag=table.string(10),
    )


def _encode_header(writer: Writer, header: NefHeader) -> int:
    texts = (
        (0, header.platform),
        (6, header.toolchain_version),
        (5, header.compiler_version),
        (9, header.solution_id),
        (10, header.solution_tag),
    )
    fields = [offset(slot, writer.string(text)) for slot, text in texts if text is not None]
    numbers = (
        Field(1, "i", header.target),
        Field(2, "I", header.crc),
        Field(3, "I", header.kn_number),
        Field(4, "i", header.encryption_mode),
        Field(8, "I", header.uuid),
    )
    if header.schema is not None:
        version = [Field(slot, "I", value) for slot, value in enumerate(header.schema) if value]
        fields.append(offset(7, writer.table(version)))
    return writer.table([*fields, *(number for number in numbers if number.value)])


def _encode_info(writer: Writer, info: ModelInfo) -> int:
    texts = ((0, info.name), (2, info.version))
    fields = [offset(slot, writer.string(text)) for slot, text in texts if text is not None]
    return writer.table([*fields, *([Field(1, "i", info.id)] if info.id else [])])


def _tail(data: bytes, end: int) -> int | None:
    """The CRC-32 in the last four bytes; None where those bytes belong to the content or are its padding."""
    if len(data) < 8:
        return None
    stored = int.from_bytes(data[-4:], "little")
    right = stored == zlib.crc32(memoryview(data)[:-4])
    return stored if right or (stored and end <= len(data) - 4) else None
