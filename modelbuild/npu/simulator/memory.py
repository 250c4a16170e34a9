"""Byte memories that know which of their bytes have been written, and by what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.npu.program import ElementType
from modelbuild.npu.simulator.maps import RowMap, Stretch

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]
Marks = NDArray[np.uint16]

DTYPES = {kind: np.dtype(f"<{'i' if kind & 1 else 'u'}{kind.size}") for kind in ElementType}


def failure(what: str) -> ModelbuildError:
    """A program that did what no program may; the caller adds where."""
    return ModelbuildError(what, exit_code=EXIT_FAILED)


class Memory:
    """Bytes, and a mark for each: 0 until it is written. To reach beyond them, or to read one that was never
    written, is a ModelbuildError."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self._data: Bytes = np.zeros(size, np.uint8)
        self._marks: Marks = np.zeros(size, np.uint16)

    def check(self, stretch: Stretch) -> None:
        """That all bytes of a stretch exist."""
        self.check_range(stretch.address, stretch.span)

    def check_range(self, address: int, size: int) -> None:
        """That `size` bytes from `address` exist."""
        if address < 0 or address + size > len(self._data):
            raise failure(
                f"access of bytes {address}..{address + size} of {self.name}, which has {len(self._data)}"
            )

    def _mark_read(self, marks: Marks) -> None:
        if not marks.all():
            raise failure(f"read of bytes of {self.name} that were never written")

    def _mark_written(self, marks: Marks) -> None:
        raise failure(f"write to {self.name}")

    def read_bytes(self, address: int, size: int) -> Bytes:
        """A view of `size` bytes."""
        self.check_range(address, size)
        self._mark_read(self._marks[address : address + size])
        return self._data[address : address + size]

    def read(self, address: int, count: int, kind: ElementType) -> NDArray[np.integer]:
        """`count` elements."""
        return self.read_bytes(address, count * kind.size).view(DTYPES[kind])

    def write(self, address: int, values: NDArray[np.integer], kind: ElementType) -> None:
        """Elements that the caller has already saturated to `kind`."""
        data = np.ascontiguousarray(values, DTYPES[kind]).reshape(-1).view(np.uint8)
        self.check_range(address, len(data))
        self._mark_written(self._marks[address : address + len(data)])
        self._data[address : address + len(data)] = data

    def read_map(self, place: RowMap) -> NDArray[np.integer]:
        """The map as [planes, rows, columns]."""
        parts = [self._read_slots(place, *part) for part in place.parts()]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _read_slots(self, place: RowMap, slot: int, rows: int) -> NDArray[np.integer]:
        data, marks = self._slots(place, slot, rows)
        self._mark_read(marks)
        return data.view(DTYPES[place.kind]).reshape(place.planes, rows, place.columns)

    def write_map(self, place: RowMap, values: NDArray[np.integer]) -> None:
        """Elements that the caller has already saturated, as many as the map has."""
        shaped = values.reshape(place.planes, place.rows, place.columns)
        row = 0
        for slot, rows in place.parts():
            part = np.ascontiguousarray(shaped[:, row : row + rows], DTYPES[place.kind])
            data, marks = self._slots(place, slot, rows)
            self._mark_written(marks)
            data[...] = part.reshape(place.planes, -1).view(np.uint8)
            row += rows

    def peek_map(self, place: RowMap) -> NDArray[np.integer]:
        """A copy of the map as it lies there, for whoever watches."""
        parts = [
            self._slots(place, slot, rows)[0]
            .view(DTYPES[place.kind])
            .reshape(place.planes, rows, place.columns)
            for slot, rows in place.parts()
        ]
        return np.concatenate(parts, axis=1)

    def _slots(self, place: RowMap, slot: int, rows: int) -> tuple[Bytes, Marks]:
        """Views [planes, bytes] of some slots of every plane, and of their marks."""
        plane = place.slots * place.row_bytes
        address = place.address + slot * place.row_bytes
        return self._rectangle(address, (place.planes,), (plane,), rows * place.row_bytes)

    def copy(
        self,
        address: int,
        source: Memory,
        source_address: int,
        counts: Sequence[int],
        strides: Sequence[int],
        source_strides: Sequence[int],
        length: int,
    ) -> None:
        """A strided rectangle of `length` contiguous bytes a run, from `source` to here."""
        to = self._rectangle(address, counts, strides, length)
        origin = source._rectangle(source_address, counts, source_strides, length)
        source._mark_read(origin[1])
        self._mark_written(to[1])
        to[0][...] = origin[0]

    def _rectangle(
        self, address: int, counts: Sequence[int], strides: Sequence[int], length: int
    ) -> tuple[Bytes, Marks]:
        """Views of the bytes and of their marks."""
        reach = sum((count - 1) * stride for count, stride in zip(counts, strides, strict=True))
        self.check_range(address, reach + length)
        shape = (*counts, length)
        return (
            as_strided(self._data[address:], shape, (*strides, 1)),
            as_strided(self._marks[address:], shape, (*(2 * stride for stride in strides), 2)),
        )


_UNREAD = 1
_READ = 2


class Scratchpad(Memory):
    """SRAM, or the host's workspace. What is written must be read before it is written over, or the transfers
    overlap."""

    def _mark_read(self, marks: Marks) -> None:
        super()._mark_read(marks)
        marks[...] = _READ

    def _mark_written(self, marks: Marks) -> None:
        if (marks == _UNREAD).any():
            raise failure(f"bytes of {self.name} are written over before anything has read them")
        marks[...] = _UNREAD

    def check_all_read(self) -> None:
        """At the end: that nothing was brought here for nothing."""
        if (self._marks == _UNREAD).any():
            raise failure(f"bytes of {self.name} are written, but nothing reads them")


class Constants(Memory):
    """The weights section, or the host's constants: read only."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(name, 0)
        self._data = np.frombuffer(data, np.uint8)
        self._marks = np.ones(len(data), np.uint16)


class Dram(Memory):
    """DRAM. Within a layer no byte is stored twice, and none is loaded that the layer itself stores: engines
    wait for each other's SRAM only."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, size)
        self._layer = 1

    def begin_layer(self, index: int) -> None:
        """Everything stored before is there to be loaded."""
        self._layer = index + 2

    def _mark_read(self, marks: Marks) -> None:
        super()._mark_read(marks)
        if (marks == self._layer).any():
            raise failure(f"a layer reads bytes of {self.name} that it writes itself")

    def _mark_written(self, marks: Marks) -> None:
        if (marks == self._layer).any():
            raise failure(f"a layer writes bytes of {self.name} twice")
        marks[...] = self._layer

    def read_final(self, address: int, count: int, kind: ElementType) -> NDArray[np.integer]:
        """A copy of elements as they are between layers."""
        self.check_range(address, count * kind.size)
        super()._mark_read(self._marks[address : address + count * kind.size])
        return self._data[address : address + count * kind.size].copy().view(DTYPES[kind])
