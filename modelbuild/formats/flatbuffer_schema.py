"""FlatBuffers by their schema: what each byte is, which fields no schema has, and copies of tables."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats.flatbuffer import MAX_COPY_ALIGNMENT, Buffer, Table
from modelbuild.formats.flatbuffer_writer import Field, Writer, offset
from modelbuild.formats.parts import Part

_SCALARS = {"u8": "B", "i8": "b", "bool": "B", "u32": "I", "i32": "i", "u64": "Q", "f32": "f"}


@dataclass(frozen=True)
class Slot:
    """One slot of a table. `kind` is scalar, string, vector, strings, table, tables, code (of a union) or
    union; `type` is a `struct` character, or the name of a table or union."""

    name: str
    kind: str
    type: str


@dataclass(frozen=True)
class UnknownField:
    """A slot that is present in a file and in no schema. `size` is how many bytes lie before the next field:
    the field has at most so many. `raw` are those bytes."""

    table: str
    slot: int
    offset: int
    size: int
    raw: bytes


class Schema:
    """The tables of a schema by name, read from its text (`kneron_schemas`)."""

    def __init__(self, root: str, text: str, unions: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.root = root
        self._text = text
        self._unions = unions or {}
        self._tables: dict[str, tuple[Slot, ...]] = {}

    def slots(self, table: str) -> tuple[Slot, ...]:
        """The slots of a table, in their order."""
        if not self._tables:
            lines = self._text.replace("\n  ", " ").strip().splitlines()
            pairs = (line.split(": ", 1) for line in lines if line)
            self._tables = {name: tuple(_slots(fields)) for name, fields in pairs}
        return self._tables[table]

    def member(self, union: str, code: int) -> str | None:
        """The table that a union's code stands for; None where no schema has it."""
        members = self._unions[union]
        return members[code - 1] if 1 <= code <= len(members) else None


def _slots(fields: str) -> Iterator[Slot]:
    for field in fields.split(", "):
        name, kind = field.split(" ")
        bare = kind.strip("[]<>")
        if kind.startswith("<"):
            yield Slot(f"{name}_type", "code", bare)
            yield Slot(name, "union", bare)
        elif bare in _SCALARS:
            yield Slot(name, "vector" if kind != bare else "scalar", _SCALARS[bare])
        elif bare == "str":
            yield Slot(name, "strings" if kind != bare else "string", "")
        else:
            yield Slot(name, "tables" if kind != bare else "table", bare)


def _width(slot: Slot) -> int:
    """Bytes of a scalar, or of an element of a vector."""
    return struct.calcsize(slot.type if slot.kind != "code" else "B")


@dataclass(frozen=True)
class Walked:
    """What a walk has found. `parts` are all tables, vtables, strings and vectors with their offsets."""

    parts: tuple[Part, ...]
    unknown: tuple[UnknownField, ...]


def walk(table: Table, schema: Schema, name: str = "") -> Walked:
    """Every part that can be reached from a table of the type `name`, the root's unless told, once each.

    Errors: ModelbuildError with the offset, for bytes that break the layout.
    """
    walker = _Walker(table.buffer, schema)
    walker.run(table, name or schema.root)
    if table.depth == 0:
        walker.add(0, 4, "offset of the root")
    return Walked(tuple(walker.parts), tuple(walker.unknown))


class _Walker:
    def __init__(self, buffer: Buffer, schema: Schema) -> None:
        self.buffer, self.schema = buffer, schema
        self.parts: list[Part] = []
        self.unknown: list[UnknownField] = []
        self._seen: set[tuple[int, str]] = set()
        self._waiting: list[tuple[Table, str]] = []

    def run(self, table: Table, name: str) -> None:
        self._waiting.append((table, name))
        while self._waiting:
            self._table(*self._waiting.pop())

    def add(self, place: int, size: int, what: str, *, known: bool = True) -> None:
        if (place, what) not in self._seen:
            self._seen.add((place, what))
            self.parts.append(Part(place, size, what, known))

    def _table(self, table: Table, name: str) -> None:
        if (table.position, name) in self._seen:
            return
        self._seen.add((table.position, name))
        self.parts.append(Part(table.position, table.size, f"table {name}"))
        self.add(table.vtable, 4 + 2 * len(table.slots), "vtable")
        slots = self.schema.slots(name)
        for number, slot in enumerate(slots):
            if table.has(number):
                self._slot(table, number, slot, f"{name}.{slot.name}")
        for number in range(len(slots), len(table.slots)):
            if table.has(number):
                self._unknown(table, number, name)

    def _slot(self, table: Table, number: int, slot: Slot, what: str) -> None:
        if slot.kind in ("scalar", "code"):
            self.buffer.claim(table.position + table.slots[number], _width(slot))
        elif slot.kind == "vector":
            self._vector(table.span(number, _width(slot)), _width(slot), what)
        elif slot.kind == "string":
            self._vector(table.span(number, 1), 1, what, ending=1)
        elif slot.kind == "strings":
            self._references(table, number, what)
            for span in table.strings(number):
                self._vector(span, 1, what, ending=1)
        elif slot.kind == "table":
            self._waiting.append((table.required(number, what), slot.type))
        elif slot.kind == "tables":
            self._references(table, number, what)
            self._waiting += ((item, slot.type) for item in table.tables(number))
        else:
            self._union(table, number, slot, what)

    def _union(self, table: Table, number: int, slot: Slot, what: str) -> None:
        member = self.schema.member(slot.type, table.integer(number - 1, "B"))
        if member is None:
            self._unknown(table, number, what)
        else:
            self._waiting.append((table.required(number, what), member))

    def _vector(self, span: tuple[int, int], width: int, what: str, ending: int = 0) -> None:
        start, count = span
        end = start + count * width
        ending = ending if end < len(self.buffer.data) and self.buffer.data[end] == 0 else 0
        self.add(start - 4, 4 + count * width + ending, what)

    def _references(self, table: Table, number: int, what: str) -> None:
        start, count = table.span(number, 4)
        self.add(start - 4, 4 + 4 * count, f"{what} (list)")

    def _unknown(self, table: Table, number: int, name: str) -> None:
        inside = table.slots[number]
        after = [place for place in table.slots if place > inside]
        size = min([*after, table.size, inside + 8]) - inside
        place = table.position + inside
        raw = bytes(table.buffer.data[place : place + size])
        self.unknown.append(UnknownField(name, number, place, size, raw))
        self.parts.append(Part(place, size, f"slot {number} of {name}: {raw.hex()}", known=False))


def copy(table: Table, schema: Schema, writer: Writer, name: str) -> int:
    """Write a table and all that it refers to once more; what is shared stays shared.

    Vectors of bytes keep their alignment up to 64. Errors: ModelbuildError for fields that no schema has,
    which cannot be copied since nobody knows what they refer to.
    """
    return _Copier(schema, writer).table(table, name)


class _Copier:
    def __init__(self, schema: Schema, writer: Writer) -> None:
        self.schema, self.writer = schema, writer
        self._done: dict[tuple[int, str], int] = {}

    def table(self, table: Table, name: str) -> int:
        key = (table.position, name)
        if key not in self._done:
            slots = self.schema.slots(name)
            if any(table.has(number) for number in range(len(slots), len(table.slots))):
                raise self._refused(table)
            fields = [
                self._field(table, number, slot) for number, slot in enumerate(slots) if table.has(number)
            ]
            self._done[key] = self.writer.table(fields)
        return self._done[key]

    def _field(self, table: Table, number: int, slot: Slot) -> Field:
        if slot.kind in ("scalar", "code"):
            layout = slot.type if slot.kind == "scalar" else "B"
            value = table.real(number) if layout == "f" else table.integer(number, layout)
            return Field(number, layout, value)
        return offset(number, self._target(table, number, slot))

    def _target(self, table: Table, number: int, slot: Slot) -> int:
        if slot.kind == "table":
            return self.table(table.required(number, slot.name), slot.type)
        if slot.kind == "tables":
            return self.writer.offsets([self.table(item, slot.type) for item in table.tables(number)])
        if slot.kind == "union":
            member = self.schema.member(slot.type, table.integer(number - 1, "B"))
            if member is None:
                raise self._refused(table)
            return self.table(table.required(number, slot.name), member)
        if slot.kind == "strings":
            texts = [table.buffer.copy(*span) for span in table.strings(number)]
            return self.writer.offsets([self.writer.text(text) for text in texts])
        return self._bytes(table, number, slot)

    def _bytes(self, table: Table, number: int, slot: Slot) -> int:
        width = _width(slot) if slot.kind == "vector" else 1
        start, count = table.span(number, width)
        key = (start, f"{slot.kind} {slot.type}")
        if key not in self._done:
            data = table.buffer.copy(start, count * width)
            if slot.kind == "string":
                self._done[key] = self.writer.text(data)
            elif width == 1:
                self._done[key] = self.writer.content(data, min(start & -start, MAX_COPY_ALIGNMENT))
            else:
                self._done[key] = self.writer.vector(data, width)
        return self._done[key]

    def _refused(self, table: Table) -> ModelbuildError:
        return ModelbuildError(
            "a table has fields that no schema has, so that it cannot be written elsewhere",
            where=f"{table.buffer.name}, offset 0x{table.position:x}",
        )
