"""fw_info: where each model's buffers and binaries lie in DRAM, and the checksums of the binaries."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

from modelbuild.formats.flatbuffer import damaged

RECORD = struct.Struct("<14I")
MAX_MODELS = 128


@dataclass(frozen=True)
class Region:
    """Addresses are absolute DRAM addresses, sizes in bytes."""

    address: int
    size: int


@dataclass(frozen=True)
class Record:
    """One model: 14 words of 32 bits."""

    id: int
    version: int
    input: Region
    output: Region
    working: Region
    command: Region
    weight: Region
    setup: Region


@dataclass(frozen=True)
class FirmwareInfo:
    """`checksum` is the CRC-32 of all_models, `model_checksums` one a model from its command to the next
    model's, `own_checksum` that of this block; all three are None in 2020-era files. `rest` is what
    follows."""

    records: tuple[Record, ...]
    dram_end: int
    total_size: int
    checksum: int | None = None
    model_checksums: tuple[int, ...] | None = None
    own_checksum: int | None = None
    rest: bytes = b""


def decode(data: bytes) -> FirmwareInfo:
    """Read the block. Errors: ModelbuildError with the offset inside it."""
    count = _words(data, 0, 1)[0]
    if not 1 <= count <= MAX_MODELS:
        raise damaged(f"it claims {count} models", "NEF fw_info", 0)
    records = tuple(_record(data, 4 + RECORD.size * index) for index in range(count))
    place = 4 + RECORD.size * count
    dram_end, total_size = _words(data, place, 2)
    place += 8
    if len(data) < place + 4 * (count + 2):  # files of 2020 end here; of what else is there, nobody knows
        return FirmwareInfo(records, dram_end, total_size, rest=data[place:])
    words = _words(data, place, count + 2)
    place += 4 * (count + 2)
    return FirmwareInfo(records, dram_end, total_size, words[0], words[1:-1], words[-1], data[place:])


def encode(info: FirmwareInfo) -> bytes:
    """The inverse of `decode`."""
    parts = [struct.pack("<I", len(info.records))]
    parts += [RECORD.pack(record.id, record.version, *_regions(record)) for record in info.records]
    parts.append(struct.pack("<2I", info.dram_end, info.total_size))
    if info.checksum is not None:
        parts.append(struct.pack("<I", info.checksum))
        parts.append(struct.pack(f"<{len(info.records)}I", *(info.model_checksums or ())))
        parts.append(struct.pack("<I", info.own_checksum or 0))
    return b"".join(parts) + info.rest


def sealed(records: tuple[Record, ...], dram_end: int, all_models: bytes) -> FirmwareInfo:
    """The block for these models with every checksum right."""
    models = tuple(zlib.crc32(span) for span in model_spans(records, all_models))
    info = FirmwareInfo(records, dram_end, len(all_models), zlib.crc32(all_models), models, 0)
    own = zlib.crc32(encode(info)[:-4])
    return FirmwareInfo(records, dram_end, len(all_models), info.checksum, models, own)


def model_spans(records: tuple[Record, ...], all_models: bytes) -> list[memoryview]:
    """Each model's bytes in all_models: from its command to the next model's, padding included."""
    base = records[0].command.address
    starts = [record.command.address - base for record in records] + [len(all_models)]
    if any(not 0 <= first <= second for first, second in pairwise(starts)):
        raise damaged("the commands of its models are not in ascending order", "NEF fw_info", 4)
    view = memoryview(all_models)
    return [view[first:second] for first, second in pairwise(starts)]


def section(region: Region, records: tuple[Record, ...], all_models: bytes, name: str) -> bytes:
    """The bytes of a command, weight or setup region in all_models; none of a region without bytes, wherever
    its address is."""
    if not region.size:
        return b""
    start = region.address - records[0].command.address
    if start < 0 or start + region.size > len(all_models):
        why = f"the {name} of {region.size} bytes at address 0x{region.address:x} lies outside all_models"
        raise damaged(f"{why} ({len(all_models)} bytes)", "NEF", max(start, 0))
    return all_models[start : start + region.size]


def _regions(record: Record) -> list[int]:
    regions = (record.input, record.output, record.working, record.command, record.weight, record.setup)
    return [word for region in regions for word in (region.address, region.size)]


def _record(data: bytes, place: int) -> Record:
    words = _words(data, place, 14)
    regions = [Region(words[index], words[index + 1]) for index in range(2, 14, 2)]
    return Record(words[0], words[1], *regions)


def _words(data: bytes, place: int, count: int) -> tuple[int, ...]:
    if place + 4 * count > len(data):
        raise damaged(f"it ends after {len(data)} bytes", "NEF fw_info", place)
    return struct.unpack_from(f"<{count}I", data, place)
