"""The top level of a protobuf message, without its schema: which fields there are, and where."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_MAX_FIELDS = 10_000
_FIXED_SIZES = {1: 8, 5: 4}


@dataclass
class TopLevel:
    """(number, wire type) of the fields in order; `places` has (start, size) of those with a length.

    `complete` is false where the bytes end inside a field; that field is listed all the same.
    """

    fields: list[tuple[int, int]] = field(default_factory=list)
    places: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    complete: bool = False


class Field(NamedTuple):
    """A field at the top: where its value begins and ends. The end may lie behind that of the bytes."""

    number: int
    wire: int
    start: int
    end: int


def walk(data: bytes | mmap.mmap) -> Iterator[Field]:
    """The fields in order, up to what is none, or to so many that it is no message that we know."""
    place, end = 0, len(data)
    for _ in range(_MAX_FIELDS):
        tag = _varint(data, place) if place < end else None
        if tag is None:
            return
        number, wire = tag[0] >> 3, tag[0] & 7
        if number == 0 or wire not in (0, 1, 2, 5):
            return
        value = _varint(data, tag[1]) if wire in (0, 2) else (0, tag[1])
        if value is None:
            return
        start = value[1]
        place = start + (value[0] if wire == 2 else _FIXED_SIZES.get(wire, 0))
        yield Field(number, wire, start, place)


def scan(data: bytes | mmap.mmap) -> TopLevel:
    """Walk over the top level; empty for bytes that are no protobuf message."""
    found, place = TopLevel(), 0
    for one in walk(data):
        found.fields.append((one.number, one.wire))
        if one.wire == 2:
            found.places.setdefault(one.number, []).append((one.start, one.end - one.start))
        place = one.end
    if place < len(data):
        return TopLevel()
    found.complete = place == len(data)
    return found


def _varint(data: bytes | mmap.mmap, place: int) -> tuple[int, int] | None:
    """(value, next place), or None for a number that does not end within ten bytes."""
    value = 0
    for index, byte in enumerate(data[place : place + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, place + index + 1
    return None
