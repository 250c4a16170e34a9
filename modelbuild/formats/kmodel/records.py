"""Records of fixed layout as data: one text names the fields, and reading, packing and showing follow it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.formats.flatbuffer import damaged

NAME = "kmodel"
Values = Mapping[str, object]
Enum = Mapping[int, str]
_CODES = {
    "u8": "B",
    "bool": "B",
    "i8": "b",
    "u16": "H",
    "u32": "I",
    "i32": "i",
    "u64": "Q",
    "i64": "q",
    "f32": "f",
}


@dataclass(frozen=True)
class Field:
    """`count` numbers of one `kind` (0: a single one, no list), or a record; `enum` names its values."""

    name: str
    kind: str
    count: int = 0
    enum: Enum | None = None
    record: Record | None = None

    @property
    def size(self) -> int:
        """Bytes in the file."""
        one = self.record.size if self.record else struct.calcsize("<" + _CODES[self.kind])
        return one * (self.count or 1)


@dataclass(frozen=True)
class Record:
    """Fields one after the other, little endian, without gaps."""

    fields: tuple[Field, ...]
    size: int

    def read(self, data: bytes, offset: int, end: int | None = None) -> dict[str, object]:
        """The values at `offset`; ModelbuildError where they do not fit before `end`."""
        limit = len(data) if end is None else min(end, len(data))
        if offset < 0 or offset + self.size > limit:
            raise past_the_end(self.size, offset, limit)
        found: dict[str, object] = {}
        for field in self.fields:
            found[field.name] = _one(field, data, offset)
            offset += field.size
        return found

    def pack(self, values: Values) -> bytes:
        """The bytes of `values`, which has every field, those with an enum as number or by name.
        The inverse of `read`. ModelbuildError for a value that its field does not hold."""
        return b"".join(_packed(field, values[field.name]) for field in self.fields)

    def shown(self, values: Values) -> dict[str, object]:
        """The values with their enums by name; a value without one as `unknown (7)`."""
        found: dict[str, object] = {}
        for field in self.fields:
            value = values[field.name]
            if field.record and isinstance(value, Mapping):
                value = field.record.shown(value)
            elif field.enum is not None and isinstance(value, int):
                value = named(field.enum, value)
            elif field.kind == "bool" and value in (0, 1):
                value = bool(value)
            found[field.name] = value
        return found


def record(text: str, enums: Mapping[str, Enum] | None = None, **records: Record) -> Record:
    """From "name:kind name:kind*count name:kind/enum …"; a kind may be the name of another record."""
    fields = []
    for word in text.split():
        name, _, kind = word.partition(":")
        kind, _, enum = kind.partition("/")
        kind, _, count = kind.partition("*")
        fields.append(
            Field(name, kind, int(count or 0), (enums or {})[enum] if enum else None, records.get(kind))
        )
    return Record(tuple(fields), sum(field.size for field in fields))


def named(enum: Enum, value: int) -> str:
    """What the value is called."""
    return enum.get(value, f"unknown ({value})")


def number(enum: Enum, name: str, what: str) -> int:
    """The inverse of `named`. ModelbuildError where there is no such name."""
    for value, known in enum.items():
        if known == name:
            return value
    raise ModelbuildError(f"{what} is {name!r}, which is none", advice=did_you_mean(name, enum.values()))


def packed(layout: str, *values: float, what: str) -> bytes:
    """Numbers in a `struct` layout, little endian. ModelbuildError for one that does not fit."""
    try:
        return struct.pack("<" + layout, *values)
    except (struct.error, OverflowError) as error:
        shown = ", ".join(map(str, values))
        raise ModelbuildError(f"{what} does not hold {shown}", why=str(error)) from None


def past_the_end(size: int, offset: int, limit: int) -> ModelbuildError:
    """The error where `size` bytes at `offset` do not lie before `limit`, the end of the file or a part."""
    left = max(0, limit - max(offset, 0))
    return damaged(f"{size} bytes are expected here, of which {left} are there", NAME, max(offset, 0))


def numbered(names: str) -> dict[int, str]:
    """An enum that counts from 0."""
    return dict(enumerate(names.split()))


def words(data: bytes, offset: int, layout: str, end: int | None = None) -> tuple[int, ...]:
    """Integers of a `struct` layout at `offset`, which must lie inside the bytes, and before `end`."""
    limit = len(data) if end is None else min(end, len(data))
    size = struct.calcsize("<" + layout)
    if offset < 0 or offset + size > limit:
        raise past_the_end(size, offset, limit)
    return struct.unpack_from("<" + layout, data, offset)


def text(data: bytes, offset: int, size: int) -> str:
    """A name padded with zeros."""
    return data[offset : offset + size].split(b"\0", 1)[0].decode("ascii", "backslashreplace")


def _one(field: Field, data: bytes, offset: int) -> object:
    if field.record:
        return field.record.read(data, offset)
    found = struct.unpack_from(f"<{field.count or 1}{_CODES[field.kind]}", data, offset)
    return list(found) if field.count else found[0]


def _packed(field: Field, value: object) -> bytes:
    if field.record:
        if not isinstance(value, Mapping):
            raise TypeError(f"{field.name} takes a mapping")
        return field.record.pack(value)
    if isinstance(value, str) and field.enum is not None:
        value = number(field.enum, value, field.name)
    values = value if isinstance(value, list | tuple) else [value]
    return packed(
        f"{field.count}{_CODES[field.kind]}" if field.count else _CODES[field.kind], *values, what=field.name
    )
