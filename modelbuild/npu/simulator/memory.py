"""Byte memories that know which of their bytes have been written, and by what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.npu.program import ElementType
from modelbuild.npu.simulator.maps import RowMap, Stretch

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]
Marks = NDArray[np.unsignedinteger]

DTYPES = {kind: np.dtype(f"<{'i' if kind & 1 else 'u'}{kind.size}") for kind in ElementType}


def failure(what: str) -> ModelbuildError:
    """A program that did what no program may; the caller adds where."""
    return ModelbuildError(what, exit_code=EXIT_FAILED)


def rectangle(
    array: NDArray[Any], address: int, counts: Sequence[int], strides: Sequence[int], length: int
) -> NDArray[Any]:
    """A view [*counts, length] of what stands in `array` from `address`, strides in elements."""
    if not counts:
        return array[address : address + length]
    size = array.itemsize
    steps = (*(stride * size for stride in strides), size)
    return np.ndarray((*counts, length), array.dtype, array, address * size, steps)


class Memory:
    """Bytes. To reach beyond them, or to read one that was never written, is a ModelbuildError."""

    def __init__(self, name: str, data: Bytes) -> None:
        self.name = name
        self._data = data

    def check(self, stretch: Stretch) -> None:
        """That all bytes of a stretch exist."""
        self.check_range(stretch.address, stretch.span)

    def check_range(self, address: int, size: int) -> None:
        """That `size` bytes from `address` exist."""
        if address < 0 or address + size > len(self._data):
            raise failure(
                f"access of bytes {address}..{address + size} of {self.name}, which has {len(self._data)}"
            )

    def _mark_read(self, address: int, counts: Sequence[int], strides: Sequence[int], length: int) -> None:
        """That all of a rectangle was written; remembers that it was read."""

    def _mark_written(self, address: int, counts: Sequence[int], strides: Sequence[int], length: int) -> None:
        """That a rectangle may be written over; remembers that it was."""
        raise failure(f"write to {self.name}")

    def read_bytes(self, address: int, size: int) -> Bytes:
        """A view of `size` bytes."""
        self.check_range(address, size)
        self._mark_read(address, (), (), size)
        return self._data[address : address + size]

    def read(self, address: int, count: int, kind: ElementType) -> NDArray[np.integer]:
        """`count` elements."""
        return self.read_bytes(address, count * kind.size).view(DTYPES[kind])

    def write(self, address: int, values: NDArray[np.integer], kind: ElementType) -> None:
        """Elements that the caller has already saturated to `kind`."""
        data = np.ascontiguousarray(values, DTYPES[kind]).reshape(-1).view(np.uint8)
        self.check_range(address, len(data))
        self._mark_written(address, (), (), len(data))
        self._data[address : address + len(data)] = data

    def read_map(self, place: RowMap) -> NDArray[np.integer]:
        """The map as [planes, rows, columns]: a view where the rows lie in order."""
        for part in place.parts():
            self.check(place.stretch(*part))
            self._mark_read(*_slots(place, *part))
        return self._map(place)

    def peek_map(self, place: RowMap) -> NDArray[np.integer]:
        """A copy of a map that has been written, for whoever watches."""
        return self._map(place).copy()

    def _map(self, place: RowMap) -> NDArray[np.integer]:
        found = [
            rectangle(self._data, *_slots(place, slot, rows))
            .view(DTYPES[place.kind])
            .reshape(place.planes, rows, place.columns)
            for slot, rows in place.parts()
        ]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    def write_map(self, place: RowMap, values: NDArray[np.integer]) -> None:
        """Elements that the caller has already saturated, as many as the map has."""
        shaped = values.reshape(place.planes, place.rows, place.columns)
        row = 0
        for slot, rows in place.parts():
            part = np.ascontiguousarray(shaped[:, row : row + rows], DTYPES[place.kind])
            where = _slots(place, slot, rows)
            self.check(place.stretch(slot, rows))
            self._mark_written(*where)
            view = rectangle(self._data, *where)
            view[...] = part.view(np.uint8).reshape(view.shape)
            row += rows

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
        to, origin = (address, counts, strides, length), (source_address, counts, source_strides, length)
        self._check_rectangle(to)
        source._check_rectangle(origin)
        source._mark_read(*origin)
        self._mark_written(*to)
        rectangle(self._data, *to)[...] = rectangle(source._data, *origin)

    def _check_rectangle(self, where: Where) -> None:
        address, counts, strides, length = where
        reach = sum((count - 1) * stride for count, stride in zip(counts, strides, strict=True))
        self.check_range(address, reach + length)


Where = tuple[int, Sequence[int], Sequence[int], int]  # address, counts, strides, length; as `rectangle`


def _slots(place: RowMap, slot: int, rows: int) -> Where:
    """Some slots of every plane."""
    plane = place.slots * place.row_bytes
    address = place.address + slot * place.row_bytes
    if rows == place.slots or place.planes == 1:
        return address, (), (), place.planes * rows * place.row_bytes
    return address, (place.planes,), (plane,), rows * place.row_bytes


DERIVED = 64  # at most so many things derived from bytes are kept
_NEVER, _READ, _UNREAD = 0, 1, 2  # in this order: one comparison finds the first, one the last


class Scratchpad(Memory):
    """SRAM, or the host's workspace. What is written must be read before it is written over, or the transfers
    overlap."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, np.zeros(size, np.uint8))
        self._marks = np.zeros(size, np.uint8)
        self._derived: dict[tuple[int, int, object], Any] = {}

    def derived(self, address: int, size: int, key: object, make: Callable[[], Any]) -> Any:
        """What `make` makes of `size` bytes at `address`; made anew once one of them is written over."""
        entry = (address, size, key)
        if entry not in self._derived:
            if len(self._derived) >= DERIVED:
                self._derived.clear()
            self._derived[entry] = make()
        return self._derived[entry]

    def _forget(self, address: int, end: int) -> None:
        gone = [entry for entry in self._derived if entry[0] < end and address < entry[0] + entry[1]]
        for entry in gone:
            del self._derived[entry]

    def _mark_read(self, *where: Any) -> None:
        marks = rectangle(self._marks, *where)
        if marks.size and int(marks.min()) == _NEVER:
            raise failure(f"read of bytes of {self.name} that were never written")
        marks[...] = _READ

    def _mark_written(self, *where: Any) -> None:
        marks = rectangle(self._marks, *where)
        if marks.size and int(marks.max()) == _UNREAD:
            raise failure(f"bytes of {self.name} are written over before anything has read them")
        marks[...] = _UNREAD
        if self._derived:
            address, counts, strides, length = where
            reach = sum((count - 1) * stride for count, stride in zip(counts, strides, strict=True))
            self._forget(address, address + reach + length)

    def check_all_read(self) -> None:
        """At the end: that nothing was brought here for nothing."""
        if len(self._marks) and int(self._marks.max()) == _UNREAD:
            raise failure(f"bytes of {self.name} are written, but nothing reads them")


class Constants(Memory):
    """The weights section, or the host's constants: read only."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(name, np.frombuffer(data, np.uint8))


class Dram(Memory):
    """DRAM. Within a group no byte is stored twice, and none is loaded that the group itself stores: engines
    wait for each other's SRAM only."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, np.zeros(size, np.uint8))
        self._marks = np.zeros(size, np.uint16)  # 0: never; else when it was written, ever higher
        self._group = 1

    def begin_layer(self, index: int) -> None:
        """Everything stored before is there to be loaded."""
        self._group = index + 2

    def _mark_read(self, *where: Any) -> None:
        marks = rectangle(self._marks, *where)
        self._check_written(marks)
        if int(marks.max(initial=0)) == self._group:
            raise failure(f"a group reads bytes of {self.name} that it writes itself")

    def _check_written(self, marks: Marks) -> None:
        if not int(marks.min(initial=1)):
            raise failure(f"read of bytes of {self.name} that were never written")

    def _mark_written(self, *where: Any) -> None:
        marks = rectangle(self._marks, *where)
        if int(marks.max(initial=0)) == self._group:
            raise failure(f"a group writes bytes of {self.name} twice")
        marks[...] = self._group

    def read_final(self, address: int, count: int, kind: ElementType) -> NDArray[np.integer]:
        """A copy of elements as they are between groups."""
        size = count * kind.size
        self.check_range(address, size)
        self._check_written(self._marks[address : address + size])
        return self._data[address : address + size].copy().view(DTYPES[kind])
