"""Constants of a module's .rdata: each once, the aligned ones with little left unused between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

UNIT = 8  # bytes that everything but tables of activations is aligned to


@dataclass
class Constants:
    """Collected bytes, laid one after the other as they come; the same bytes are stored once."""

    data: bytearray = field(default_factory=bytearray)
    _known: dict[bytes, int] = field(default_factory=dict)

    def place(self, values: bytes) -> int:
        """The offset of these bytes."""
        if values not in self._known:
            self.data += bytes(-len(self.data) % UNIT)
            self._known[values] = len(self.data)
            self.data += values
        return self._known[values]


@dataclass(frozen=True)
class Packed:
    """A finished .rdata, and where each constant begins in it."""

    data: bytes
    offset: Mapping[bytes, int]


def packed(aligned: Sequence[bytes], others: Sequence[bytes], alignment: int) -> Packed:
    """`aligned` constants begin at multiples of `alignment`, the others at multiples of UNIT. Behind each
    aligned one come one or two others that end closest before such a multiple."""
    data = bytearray()
    offset: dict[bytes, int] = {}
    pool = _Pool([item for item in dict.fromkeys(others) if item not in set(aligned)], alignment)

    def add(values: bytes) -> None:
        data.extend(bytes(-len(data) % UNIT))
        offset[values] = len(data)
        data.extend(values)

    for table in dict.fromkeys(aligned):
        data.extend(bytes(-len(data) % alignment))
        add(table)
        for values in pool.filling(-len(data) % alignment):
            add(values)
    for values in pool.rest():
        add(values)
    return Packed(bytes(data), offset)


class _Pool:
    """Constants that are not placed yet, by what their length leaves of the alignment."""

    def __init__(self, items: Sequence[bytes], alignment: int) -> None:
        self._alignment = alignment
        self._items: dict[int, list[bytes]] = {}
        for item in items:
            self._items.setdefault(-(-len(item) // UNIT) * UNIT % alignment, []).append(item)

    def filling(self, room: int) -> list[bytes]:
        """One or two constants behind which least of `room`, modulo the alignment, is unused; one if it is as
        good, none if nothing is better."""
        best: tuple[int, tuple[int, ...]] = (room, ())
        for first in sorted(self._items):
            best = min(best, ((room - first) % self._alignment, (first,)), key=lambda item: item[0])
        for first in sorted(self._items):
            for second in sorted(self._items):
                if best[0] == 0:
                    break
                if first < second or (first == second and len(self._items[first]) > 1):
                    unused = (room - first - second) % self._alignment
                    best = min(best, (unused, (first, second)), key=lambda item: item[0])
        return [self._take(length) for length in best[1]]

    def rest(self) -> list[bytes]:
        """All that are left."""
        return [item for length in sorted(self._items) for item in self._items[length]]

    def _take(self, length: int) -> bytes:
        found = self._items[length].pop(0)
        if not self._items[length]:
            del self._items[length]
        return found
