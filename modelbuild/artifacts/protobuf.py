"""The top level of a protobuf message, without its schema: which fields there are, and where."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field

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


def scan(data: bytes | mmap.mmap) -> TopLevel:
    """Walk over the top level; empty for bytes that are no protobuf message."""
    found = TopLevel()
    place, end = 0, len(data)
    while place < end:
        tag = _varint(data, place)
        if tag is None or len(found.fields) >= _MAX_FIELDS:
            return TopLevel()
        number, wire = tag[0] >> 3, tag[0] & 7
        place = tag[1]
        if number == 0 or wire not in (0, 1, 2, 5):
            return TopLevel()
        value = _varint(data, place) if wire in (0, 2) else (0, place)
        if value is None:
            return TopLevel()
        place = value[1]
        if wire == 2:
            found.places.setdefault(number, []).append((place, value[0]))
            place += value[0]
        place += _FIXED_SIZES.get(wire, 0)
        found.fields.append((number, wire))
    found.complete = place == end
    return found


def _varint(data: bytes | mmap.mmap, place: int) -> tuple[int, int] | None:
    """(value, next place), or None for a number that does not end within ten bytes."""
    value = 0
    for index, byte in enumerate(data[place : place + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, place + index + 1
    return None
