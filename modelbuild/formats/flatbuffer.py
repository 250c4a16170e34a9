"""Reads FlatBuffers without a schema compiler and without trusting a single offset."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field

from modelbuild.errors import ModelbuildError

Readable = bytes | mmap.mmap
MAX_DEPTH = 32
MAX_TABLES = 20_000  # more in files that have room for them: one in so many bytes
_BYTES_A_TABLE = 512
_SMALL_TABLE = 8  # bytes of a table and of the reference to it: a small file has room for no more of them
_FEW_TABLES = 64  # that are read more than once
MAX_ELEMENTS = 65_536
MAX_COPY_ALIGNMENT = 64  # the largest that a schema of Kneron's asks for
_SOFFSET = struct.Struct("<i")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")


def damaged(what: str, name: str, offset: int) -> ModelbuildError:
    """The error for bytes that break the format: exit code 2, with the offset in the file or section."""
    return ModelbuildError(
        f"{name} is damaged: {what}",
        where=f"offset 0x{offset:x}",
        advice="get the file again from where it was made; it may be truncated or altered",
    )


@dataclass
class Buffer:
    """The bytes, what they are called in errors, and what is left of the work a reader may do.

    Offsets may point at the same bytes from many places, so a small file could unfold into a huge one; the
    counts of tables and of copied bytes keep the work in proportion to the file.
    """

    data: Readable
    name: str
    tables_left: int = -1
    bytes_left: int = field(default=-1)
    end: int = 0  # the first byte after everything that was read so far
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.data)
        if self.tables_left < 0:
            most = max(MAX_TABLES, self.size // _BYTES_A_TABLE)
            self.tables_left = min(most, _FEW_TABLES + self.size // _SMALL_TABLE)
        if self.bytes_left < 0:
            self.bytes_left = 4 * len(self.data) + 65_536

    def number(self, layout: struct.Struct, offset: int) -> int:
        """The integer at `offset`, which must lie inside the bytes."""
        self.claim(offset, layout.size)
        value = layout.unpack_from(self.data, offset)[0]
        return int(value)

    def claim(self, offset: int, size: int) -> None:
        """Require that `size` bytes at `offset` are there."""
        end = offset + size
        if offset < 0 or size < 0 or end > self.size:
            raise damaged(f"{size} bytes are expected here, past its {self.size} bytes", self.name, offset)
        if end > self.end:
            self.end = end

    def spend(self, size: int, offset: int) -> None:
        """Count bytes that are about to be copied out."""
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise damaged("its parts overlap so that it would unfold without bound", self.name, offset)

    def copy(self, offset: int, size: int) -> bytes:
        """`size` bytes at `offset`, counted."""
        self.claim(offset, size)
        self.spend(size, offset)
        return self.data[offset : offset + size]


def root(data: Readable, name: str) -> Table:
    """The root table of a FlatBuffer; `name` is what errors call it."""
    buffer = Buffer(data, name)
    return Table(buffer, buffer.number(_U32, 0), 0)


@dataclass(frozen=True)
class Table:
    """A table at `position`. Slots are numbered as in the schema; an absent slot reads as its default."""

    buffer: Buffer
    position: int
    depth: int
    slots: tuple[int, ...] = field(init=False)
    vtable: int = field(init=False)
    size: int = field(init=False)  # of the fields inside the table

    def __post_init__(self) -> None:
        buffer = self.buffer
        buffer.tables_left -= 1
        if buffer.tables_left < 0 or self.depth > MAX_DEPTH:
            raise damaged("it has too many tables or nests too deep", buffer.name, self.position)
        vtable = self.position - buffer.number(_SOFFSET, self.position)
        size = buffer.number(_U16, vtable)
        inline = buffer.number(_U16, vtable + 2)
        if size < 4 or size % 2 or inline < 4:
            raise damaged(f"a vtable has the impossible sizes {size} and {inline}", buffer.name, vtable)
        buffer.claim(vtable, size)
        buffer.claim(self.position, inline)
        slots = struct.unpack_from(f"<{size // 2}H", buffer.data, vtable)[2:]
        if any(slot and not 4 <= slot < inline for slot in slots):
            raise damaged("a field lies outside its table", buffer.name, vtable)
        object.__setattr__(self, "slots", slots)
        object.__setattr__(self, "vtable", vtable)
        object.__setattr__(self, "size", inline)

    def offset(self, slot: int) -> int | None:
        """Where the value of `slot` is, or None if it is absent."""
        if slot >= len(self.slots) or not self.slots[slot]:
            return None
        return self.position + self.slots[slot]

    def room(self, slot: int) -> int:
        """How many bytes lie from the value of a slot to the next one or the table's end; 0 if absent."""
        if slot >= len(self.slots) or not self.slots[slot]:
            return 0
        return (
            min([self.size, *(place for place in self.slots if place > self.slots[slot])]) - self.slots[slot]
        )

    def has(self, slot: int) -> bool:
        """Whether the slot is present."""
        return self.offset(slot) is not None

    def integer(self, slot: int, layout: str, default: int = 0) -> int:
        """An integer of `struct` layout such as "I" or "b"."""
        offset = self.offset(slot)
        return default if offset is None else self.buffer.number(struct.Struct(f"<{layout}"), offset)

    def real(self, slot: int, default: float = 0.0) -> float:
        """A 32-bit float."""
        offset = self.offset(slot)
        if offset is None:
            return default
        self.buffer.claim(offset, 4)
        return float(struct.unpack_from("<f", self.buffer.data, offset)[0])

    def string(self, slot: int) -> str | None:
        """A string, or None if absent. Bytes that are not UTF-8 are shown as \\xNN."""
        found = self._vector(slot, 1, len(self.buffer.data))
        if found is None:
            return None
        return self.buffer.copy(*found).decode("utf-8", "backslashreplace")

    def content(self, slot: int) -> bytes:
        """A vector of bytes; empty if absent."""
        found = self._vector(slot, 1, len(self.buffer.data))
        return b"" if found is None else self.buffer.copy(*found)

    def content_span(self, slot: int) -> tuple[int, int] | None:
        """Offset and size of a vector of bytes, without copying it."""
        return self._vector(slot, 1, len(self.buffer.data))

    def span(self, slot: int, element_size: int) -> tuple[int, int]:
        """Offset and count of a vector of scalars, without copying it; the count of an absent one is 0."""
        return self._vector(slot, element_size, len(self.buffer.data)) or (0, 0)

    def integers(self, slot: int, layout: str) -> tuple[int, ...]:
        """A vector of integers of one `struct` layout; empty if absent."""
        size = struct.calcsize(f"<{layout}")
        found = self._vector(slot, size, MAX_ELEMENTS)
        if found is None:
            return ()
        offset, count = found
        self.buffer.spend(count * size, offset)
        return tuple(
            int(value) for value in struct.unpack_from(f"<{count}{layout}", self.buffer.data, offset)
        )

    def table(self, slot: int) -> Table | None:
        """A table, or None if absent."""
        offset = self.offset(slot)
        if offset is None:
            return None
        return Table(self.buffer, offset + self.buffer.number(_U32, offset), self.depth + 1)

    def required(self, slot: int, what: str) -> Table:
        """A table that must be there; `what` names it in the error."""
        found = self.table(slot)
        if found is None:
            raise damaged(f"its {what} is missing", self.buffer.name, self.position)
        return found

    def tables(self, slot: int) -> tuple[Table, ...]:
        """A vector of tables; empty if absent."""
        found = self._vector(slot, 4, MAX_ELEMENTS)
        if found is None:
            return ()
        buffer, (start, count) = self.buffer, found
        places = range(start, start + 4 * count, 4)
        return tuple(Table(buffer, place + buffer.number(_U32, place), self.depth + 1) for place in places)

    def strings(self, slot: int) -> tuple[tuple[int, int], ...]:
        """Offset and size of each string of a vector; empty if absent."""
        buffer, (start, count) = self.buffer, self._vector(slot, 4, MAX_ELEMENTS) or (0, 0)
        found = []
        for place in range(start, start + 4 * count, 4):
            text = place + buffer.number(_U32, place)
            size = buffer.number(_U32, text)
            buffer.claim(text + 4, size)
            found.append((text + 4, size))
        return tuple(found)

    def _vector(self, slot: int, element_size: int, limit: int) -> tuple[int, int] | None:
        offset = self.offset(slot)
        if offset is None:
            return None
        buffer = self.buffer
        start = offset + buffer.number(_U32, offset)
        count = buffer.number(_U32, start)
        if count > limit:
            raise damaged(f"a vector claims {count} elements", buffer.name, start)
        buffer.claim(start + 4, count * element_size)
        return start + 4, count
