"""Writes FlatBuffers from the end to the start, as Google's builder does: equal objects give equal bytes.

Tables made by flatc's `CreateX` functions lay their fields out largest first and, within a size, in slot
order from the front; this writer does the same, which is what makes vendor files come out byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError


@dataclass(frozen=True)
class Field:
    """One present field of a table. `layout` is a `struct` character, or "O" for an offset."""

    slot: int
    layout: str
    value: int | float


def offset(slot: int, value: int) -> Field:
    """A field that refers to a string, vector or table written before."""
    return Field(slot, "O", value)


class Writer:
    """Collects parts back to front; the offsets it hands out count from the end of the buffer."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._alignment = 1
        self._vtables: dict[bytes, int] = {}

    def string(self, text: str) -> int:
        """A string, with the terminating zero that FlatBuffers demands."""
        return self.text(text.encode("utf-8"))

    def text(self, data: bytes) -> int:
        """The bytes of a string, which need not be UTF-8."""
        return self._sized(data, 1, 1, terminator=b"\0")

    def content(self, data: bytes, alignment: int = 1) -> int:
        """A vector of bytes whose first byte lies on a multiple of `alignment`."""
        return self._sized(data, 1, alignment)

    def numbers(self, layout: str, values: Sequence[int] | Sequence[float]) -> int:
        """A vector of scalars of one `struct` layout."""
        return self.vector(_pack(f"{len(values)}{layout}", *values), struct.calcsize(f"<{layout}"))

    def vector(self, data: bytes, width: int) -> int:
        """A vector of scalars of `width` bytes each, as they lie in memory."""
        return self._sized(data, width, width)

    def offsets(self, targets: Sequence[int]) -> int:
        """A vector of references to tables or strings written before."""
        self._align(4, 4 * len(targets))
        first = self._size + 4 * len(targets)
        places = (first - 4 * index for index in range(len(targets)))
        data = _pack(
            f"{len(targets)}I", *(place - target for place, target in zip(places, targets, strict=True))
        )
        return self._sized(data, 4, 4)

    def table(self, fields: Sequence[Field]) -> int:
        """A table of the fields given; absent ones read as their defaults."""
        end = self._size
        places: dict[int, int] = {}
        order = sorted(fields, key=lambda item: (_width(item.layout), item.slot), reverse=True)
        for item in order:
            self._scalar(item)
            places[item.slot] = self._size
        self._align(4, 0)
        self._push(b"\0\0\0\0")
        position = self._size
        count = max(places, default=-1) + 1
        slots = [position - places[slot] if slot in places else 0 for slot in range(count)]
        vtable = _pack(f"{2 + count}H", 4 + 2 * count, position - end, *slots)
        soffset_part = len(self._parts) - 1
        if vtable not in self._vtables:
            self._push(vtable)
            self._vtables[vtable] = self._size
        self._parts[soffset_part] = _pack("i", self._vtables[vtable] - position)
        return position

    def finish(self, root: int) -> bytes:
        """The whole buffer, with `root` as its root table."""
        self._align(max(self._alignment, 4), 4)
        self._push(_pack("I", self._size + 4 - root))
        return b"".join(reversed(self._parts))

    def _scalar(self, item: Field) -> None:
        width = _width(item.layout)
        self._align(width, 0)
        if item.layout == "O":
            self._push(_pack("I", self._size + 4 - int(item.value)))
        else:
            self._push(_pack(item.layout, item.value))

    def _sized(self, data: bytes, element_size: int, alignment: int, terminator: bytes = b"") -> int:
        self._align(4, len(data) + len(terminator))
        self._align(alignment, len(data) + len(terminator))
        if terminator:
            self._push(terminator)
        self._push(data)
        self._push(_pack("I", len(data) // element_size))
        return self._size

    def _align(self, alignment: int, size: int) -> None:
        """Pad so that after `size` more bytes the buffer's size is a multiple of `alignment`."""
        self._alignment = max(self._alignment, alignment)
        padding = -(self._size + size) % alignment
        if padding:
            self._push(bytes(padding))

    def _push(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)


def _width(layout: str) -> int:
    return 4 if layout == "O" else struct.calcsize(f"<{layout}")


def _pack(layout: str, *values: float) -> bytes:
    try:
        return struct.pack(f"<{layout}", *values)
    except (struct.error, OverflowError) as error:
        raise ModelbuildError("a value does not fit its field in the container", why=str(error)) from None
