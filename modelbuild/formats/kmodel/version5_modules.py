"""What both layouts of version 5 have inside of modules: memory pools, inputs and outputs, sections."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import types
from modelbuild.formats.kmodel.filling import reserved
from modelbuild.formats.kmodel.model import Mempool, Section, Span, Tensor, Unknown
from modelbuild.formats.kmodel.records import NAME, Enum, named, record, text, words
from modelbuild.formats.parts import Part

MEMPOOL = record("location:u8 reserved:u8*3 size:u32")
RANGE = record("location:u8 datatype:u8 shared_module:u16 start:u32 size:u32")
SECTION = record("name:u8*16 flags:u32 body_start:u32 body_size:u32 reserved:u32")
MERGED = 1  # the flag of a section whose body lies in that of .rdata
# More than any file has; they keep the work and memory in proportion where a damaged file claims more.
MAX_MEMPOOLS = 256  # as many as there are locations
MAX_FUNCTIONS = 4_096  # of a file
MAX_SECTIONS = 16_384  # of a file
MAX_TENSORS = 65_536  # of a file
MAX_RANK = 64


@dataclass
class Reading:
    """What is collected on the way."""

    data: bytes
    locations: Enum
    parts: list[Part] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    left: dict[str, int] = field(
        default_factory=lambda: {"functions": MAX_FUNCTIONS, "sections": MAX_SECTIONS, "tensors": MAX_TENSORS}
    )

    def count(self, what: str, number: int, place: int) -> int:
        """`number`, which a file has no more of in all than are allowed."""
        self.left[what] -= number
        if self.left[what] < 0:
            raise damaged(f"it claims too many {what}", NAME, place)
        return number


def read_tensors(
    reading: Reading, place: int, end: int, count: int, label: str
) -> tuple[tuple[Tensor, ...], int]:
    data, start = reading.data, place
    reading.count("tensors", count, place)
    if place + RANGE.size * count > end:
        raise damaged(f"it claims {count} inputs or outputs", NAME, place)
    at = place + RANGE.size * count
    found = []
    for index in range(count):
        location, dtype, shared, address, size = words(data, place + RANGE.size * index, "BBH2I", end)
        if shared:
            reading.unknown.append(
                Unknown(f"{label}, {index}: shared module", place + RANGE.size * index + 2, shared)
            )
        (rank,) = words(data, at, "I", end)
        if rank > MAX_RANK:
            raise damaged(f"a tensor has {rank} dimensions", NAME, at)
        shape = words(data, at + 4, f"{rank}I", end)
        at += 4 + 4 * rank
        found.append(
            Tensor(named(types.DATATYPES, dtype), shape, named(reading.locations, location), address, size)
        )
    reading.parts.append(Part(start, at - start, label))
    return tuple(found), at


def read_mempools(reading: Reading, place: int, end: int, count: int, label: str) -> tuple[Mempool, ...]:
    """The memory that a module asks for."""
    if count > MAX_MEMPOOLS or place + MEMPOOL.size * count > end:
        raise damaged(f"it claims {count} memory pools", NAME, place)
    found = []
    for index in range(count):
        location, one, two, three, size = words(reading.data, place + MEMPOOL.size * index, "4BI")
        rest = one | two << 8 | three << 16
        if rest:
            reading.unknown.append(
                Unknown(f"{label}: memory pool {index}, reserved", place + 8 * index + 1, rest)
            )
        found.append(Mempool(location, named(reading.locations, location), size))
    reading.parts.append(Part(place, MEMPOOL.size * count, f"{label}: memory pools"))
    return tuple(found)


def read_sections(reading: Reading, place: int, end: int, count: int, label: str) -> tuple[Section, ...]:
    """Sections one after the other; those merged into .rdata have nothing behind their header."""
    heads = []
    for _ in range(reading.count("sections", count, place)):
        name = text(reading.data, place, 16)
        flags, start, size, rest = words(reading.data, place + 16, "4I", end)
        reading.unknown += reserved(f"{label}, {name}: flags", place + 16, flags & ~MERGED)
        reading.unknown += reserved(f"{label}, {name}: reserved", place + 28, rest)
        reading.parts.append(Part(place, SECTION.size, f"{label}, {name}: header"))
        heads.append((name, flags, place, start, size))
        place += SECTION.size
        if not flags & MERGED:
            if place + start + size > end:
                raise damaged(f"section {name} ends after its module", NAME, place)
            reading.parts.append(Part(place + start, size, f"{label}, {name}"))
            place += start + size
    bodies = {
        name: Span(at + SECTION.size + start, size)
        for name, flags, at, start, size in reversed(heads)
        if not flags & MERGED
    }
    return tuple(
        Section(
            name, flags, at, _body(bodies, at, start, size, merged=bool(flags & MERGED)), bool(flags & MERGED)
        )
        for name, flags, at, start, size in heads
    )


def _body(bodies: dict[str, Span], at: int, start: int, size: int, *, merged: bool) -> Span:
    if not merged:
        return Span(at + SECTION.size + start, size)
    into = bodies.get(".rdata")
    if into is None or start + size > into.size:
        raise damaged("a section is merged into .rdata, but lies outside of it", NAME, at)
    return Span(into.offset + start, size)
