"""The constants of a program as they are collected: each part once, packed where that makes it shorter."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from modelbuild.npu.emitting.compress import pack_short
from modelbuild.npu.program.transfers import RAW, SHORT


@dataclass(frozen=True, slots=True)
class Part:
    """`length` bytes that lie as `stored` bytes at `address` of the weights section."""

    address: int
    length: int
    stored: int
    codec: int


class Constants:
    """The weights section as it grows. Without `wanted` it is only counted, and nothing is made or packed."""

    def __init__(self, wanted: bool = True, compress: bool = False) -> None:
        self.data = bytearray()
        self.size = 0
        self.saved = 0  # bytes that packing saves
        self._wanted = wanted
        self._compress = compress
        self._parts: dict[Hashable, Part] = {}

    def part(self, key: Hashable, length: int, make: Callable[[], bytes], packable: bool = True) -> Part:
        """The part that `key` stands for, whose `length` bytes `make` makes if it is not there yet."""
        found = self._parts.get(key)
        if found is None:
            found = self._parts[key] = self._add(length, make, packable)
        return found

    def _add(self, length: int, make: Callable[[], bytes], packable: bool) -> Part:
        address, stored, codec = self.size, length, RAW
        if self._wanted:
            data = make()
            assert len(data) == length, (len(data), length)
            if self._compress and packable:
                short = pack_short(data)
                if short is not None:
                    data, stored, codec = short, len(short), SHORT
            self.data += data
        self.size += stored
        self.saved += length - stored
        return Part(address, length, stored, codec)
