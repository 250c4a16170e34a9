"""ELF, 64 bits little endian, as far as the program member of an MPK needs it: named sections."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

from modelbuild.errors import ModelbuildError
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.parts import Part

MAGIC = b"\x7fELF"
PROGBITS, STRTAB, NOBITS = 1, 3, 8
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_IDENT = MAGIC + bytes((2, 1, 1)) + bytes(9)  # 64 bits, little endian, version 1
_ALIGNMENT = 16
_MAX_NAME = 4096
MAX_SECTIONS = 16_384
_ELSEWHERE = 0xFFFF  # the index of the names' section stands in the first row of the table
_NAME = "ELF"


@dataclass(frozen=True)
class NewSection:
    """A section to write: bytes, or only a size in memory where `data` is None."""

    name: str
    data: bytes | None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A section as found; `size` is its size in memory, `offset` where its bytes are if it has any."""

    name: str
    kind: int
    offset: int
    size: int


@dataclass(frozen=True)
class Elf:
    """A file as read. `machine` and `type` are the header's numbers."""

    data: bytes
    machine: int
    type: int
    sections: tuple[Section, ...]
    table: Part
    program_headers: Part

    def content(self, section: Section) -> bytes:
        """The bytes of a section; empty for one without any (NOBITS)."""
        if section.kind == NOBITS:
            return b""
        return self.data[section.offset : section.offset + section.size]

    @property
    def parts(self) -> tuple[Part, ...]:
        """Header, tables, sections with bytes, and the zeros between them."""
        stored = [item for item in self.sections if item.kind not in (0, NOBITS)]
        found = [
            Part(0, _HEADER.size, "ELF header"),
            self.program_headers,
            self.table,
            *(Part(item.offset, item.size, item.name or "section without a name") for item in stored),
        ]
        return (*(part for part in found if part.size), *_padding(self.data, found))

    def find(self, name: str) -> Section | None:
        """The first section of that name."""
        return next((section for section in self.sections if section.name == name), None)


def write(sections: Sequence[NewSection]) -> bytes:
    """An ELF of these sections and their names' table; machine and type are 0 (none)."""
    names = b"\0"
    rows: list[bytes] = [bytes(_SECTION.size)]
    parts: list[bytes] = []
    place = _HEADER.size
    table = [*sections, NewSection(".shstrtab", None)]
    for index, section in enumerate(table):
        name_place = len(names)
        names += section.name.encode("utf-8") + b"\0"
        last = index == len(table) - 1
        data = names if last else section.data
        kind = STRTAB if last else NOBITS if data is None else PROGBITS
        size = section.size if data is None else len(data)
        rows.append(_SECTION.pack(name_place, kind, 0, 0, place, size, 0, 0, _ALIGNMENT, 0))
        if data is not None:
            padding = -len(data) % _ALIGNMENT
            parts += [data, bytes(padding)]
            place += len(data) + padding
    header = _HEADER.pack(
        _IDENT, 0, 0, 1, 0, 0, place, 0, _HEADER.size, 0, 0, _SECTION.size, len(rows), len(rows) - 1
    )
    return b"".join([header, *parts, *rows])


def read(data: bytes) -> Elf:
    """Read the table of sections. Errors: ModelbuildError with the offset, also for 32 bits or big endian."""
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise damaged("it does not start with a complete ELF header", _NAME, 0)
    if data[4:6] != _IDENT[4:6]:
        raise ModelbuildError(
            "the ELF is not a 64-bit little-endian one", where=_NAME, advice="name a program of that kind"
        )
    fields = _HEADER.unpack_from(data)
    table, row_size, count, names_index = fields[6], fields[11], fields[12], fields[13]
    programs = Part(fields[5], fields[9] * fields[10], "program headers")
    if programs.offset + programs.size > len(data):
        raise damaged(f"its {fields[10]} program headers lie outside its {len(data)} bytes", _NAME, 32)
    if not table:
        return Elf(data, fields[2], fields[1], (), Part(0, 0, "table of sections"), programs)
    if row_size != _SECTION.size or table + max(count, 1) * row_size > len(data):
        raise damaged(f"its table of {count} sections lies outside its {len(data)} bytes", _NAME, 40)
    first = _SECTION.unpack_from(data, table)
    count = count or first[5]  # more than the header has room for
    names_index = first[6] if names_index == _ELSEWHERE else names_index
    if table + count * row_size > len(data):
        raise damaged(f"its table of {count} sections lies outside its {len(data)} bytes", _NAME, table)
    if count > MAX_SECTIONS:
        raise ModelbuildError(
            f"the ELF has {count} sections",
            where=f"offset 0x{table:x}",
            why=f"{MAX_SECTIONS} are the limit",
            advice="inspect a linked program: object files have so many",
        )
    rows = [_SECTION.unpack_from(data, table + index * row_size) for index in range(count)]
    place = Part(table, count * row_size, "table of sections")
    if not rows:
        return Elf(data, fields[2], fields[1], (), place, programs)
    if names_index >= count:
        raise damaged("the table of names is not one of its sections", _NAME, 62)
    names = _section(rows[names_index], "", data)
    sections = tuple(map(_section, rows[1:], _names(rows[1:], names, data), repeat(data)))
    stored = sum(item.size for item in sections if item.kind not in (0, NOBITS))
    if stored > 2 * len(data):
        raise damaged(f"its sections overlap: {stored} bytes in {len(data)}", _NAME, table)
    return Elf(data, fields[2], fields[1], sections, place, programs)


def _padding(data: bytes, parts: Sequence[Part]) -> list[Part]:
    """The gaps between the parts that hold nothing but zeros."""
    found, end = [], 0
    for part in sorted((part for part in parts if part.size), key=lambda part: part.offset):
        gap = part.offset - end
        if gap > 0 and data.count(0, end, part.offset) == gap:
            found.append(Part(end, gap, "padding"))
        end = max(end, part.offset + part.size)
    if end < len(data) and data.count(0, end) == len(data) - end:
        found.append(Part(end, len(data) - end, "padding"))
    return found


def _section(row: tuple[int, ...], name: str, data: bytes) -> Section:
    kind, offset, size = row[1], row[4], row[5]
    if kind not in (0, NOBITS) and offset + size > len(data):
        raise damaged(f"section {name!r} of {size} bytes lies outside its {len(data)} bytes", _NAME, offset)
    return Section(name, kind, offset, size)


def _names(rows: Sequence[tuple[int, ...]], names: Section, data: bytes) -> Iterator[str]:
    """The names of the sections. One may lie in another, so a small file could unfold into a huge one."""
    left = 4 * len(data) + 65_536
    for row in rows:
        name = _name(row[0], names, data)
        left -= len(name)
        if left < 0:
            raise damaged("its names overlap so that they would unfold without bound", _NAME, names.offset)
        yield name


def _name(place: int, names: Section, data: bytes) -> str:
    start = names.offset + place
    limit = min(names.offset + names.size, start + _MAX_NAME)
    end = data.find(b"\0", start, limit)
    if names.kind == NOBITS or end < 0:
        raise damaged("a section's name does not end", _NAME, start)
    return data[start:end].decode("utf-8", "backslashreplace")
