"""Protobuf's wire format, read field by field without trusting a length.

Source: protobuf.dev, "Encoding". Nothing is copied but the numbers that are asked for.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from modelbuild.errors import ModelbuildError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTH = {FIXED64: 8, FIXED32: 4}
_MAX_FIELDS = 2_000_000
_MAX_PARTS = 200_000


@dataclass
class Budget:
    """How many fields, and how many layers and blobs, may still be read: a file of nothing but tiny ones
    takes no unbounded time and memory."""

    fields_left: int = _MAX_FIELDS
    parts_left: int = _MAX_PARTS

    def take_part(self, offset: int) -> None:
        """Counts a layer or blob."""
        self.parts_left -= 1
        if self.parts_left < 0:
            raise damaged("it has too many layers and blobs", offset)


class Field(NamedTuple):
    """One field: `value` of a varint, or the bytes `data` of any other."""

    number: int
    kind: int
    value: int
    data: memoryview
    offset: int

    @property
    def text(self) -> str:
        """The bytes as text. Raises where they are none."""
        if self.kind != BYTES:
            raise damaged("a name is expected", self.offset)
        try:
            return bytes(self.data).decode("utf-8")
        except UnicodeDecodeError as error:
            raise damaged("a name is not text", self.offset) from error

    @property
    def message(self) -> memoryview:
        """The bytes of a nested message."""
        if self.kind != BYTES:
            raise damaged("a message is expected", self.offset)
        return self.data


def damaged(what: str, offset: int) -> ModelbuildError:
    """The error for bytes that break the format."""
    return ModelbuildError(
        f"the caffemodel is truncated or damaged: {what}",
        why=f"at offset {offset:#x}",
        advice="compare its size with the original's and copy it again",
    )


def fields(data: memoryview, base: int, budget: Budget, wanted: Container[int]) -> Iterator[Field]:
    """The fields of the message `data` whose number is `wanted`; it begins at the offset `base` of its file.

    All others are checked and passed over."""
    position, end, empty = 0, len(data), data[:0]
    while position < end:
        budget.fields_left -= 1
        if budget.fields_left < 0:
            raise damaged("it has too many fields", base + position)
        begin = base + position
        key = data[position]
        position += 1
        if key > 0x7F:
            key, position = varint(data, position - 1, base)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise damaged("a field has the number 0", begin)
        if kind in (VARINT, BYTES):
            size, position = varint(data, position, base)
        elif kind in _WIDTH:
            size = _WIDTH[kind]
        else:
            raise damaged(f"a field has the unknown wire type {kind}", begin)
        if kind == VARINT:
            if number in wanted:
                yield Field(number, kind, size, empty, begin)
            continue
        if size > end - position:
            raise damaged(f"a field of {size} bytes where {end - position} are left", begin)
        if number in wanted:
            yield Field(number, kind, 0, data[position : position + size], base + position)
        position += size


def varint(data: memoryview, position: int, base: int) -> tuple[int, int]:
    """The number at `position` and the position behind it."""
    value, end = 0, len(data)
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise damaged("a number does not end", base + position)
