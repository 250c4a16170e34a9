"""Texts in a NEF that nothing refers to any more: an edit wrote a longer one elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_ALIGNMENT = 4
_PRINTABLE = frozenset(range(0x20, 0x7F)) | {0x0A}


class Room(NamedTuple):
    """A text with its length before it and its zero and padding behind it: `start` to `end`."""

    start: int
    end: int
    text: bytes


def rooms(data: bytes | bytearray | memoryview, start: int, end: int) -> Iterator[Room]:
    """The texts that fill the gap from `start` to `end`, one behind the other; none of them where anything
    else lies in the gap than texts and zeros."""
    found: list[Room] = []
    place = aligned(start)
    if any(data[start:place]):
        return
    while place + 4 <= end:
        size = int.from_bytes(data[place : place + 4], "little")
        text = bytes(data[place + 4 : place + 4 + size])
        after = min(aligned(place + 4 + size + 1), end)
        if not size or place + 4 + size >= end or not _PRINTABLE.issuperset(text):
            return
        if any(data[place + 4 + size : after]):
            return
        while after < end and not any(data[after : min(after + _ALIGNMENT, end)]):
            after = min(after + _ALIGNMENT, end)
        found.append(Room(place, after, text))
        place = after
    if not any(data[place:end]):
        yield from found


def aligned(place: int) -> int:
    """The next place where a text may begin."""
    return place + -place % _ALIGNMENT
