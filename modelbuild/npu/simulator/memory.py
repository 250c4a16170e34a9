"""Byte memories that know which of their bytes have been written, and by what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.npu.program import ElementType
from modelbuild.npu.simulator.maps import RowMap, Stretch
from modelbuild.npu.simulator.used import Used

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]

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
        if address < 0 or address + size > self._bytes:
            raise failure(
                f"access of bytes {address}..{address + size} of {self.name}, which has {self._bytes}"
            )

    @property
    def _bytes(self) -> int:
        """How many there are."""
        return len(self._data)

    def _at(self, address: int) -> int:
        """Where in `_data` the byte of an address is that has been checked."""
        return address

    def _mark_read(self, address: int, counts: Sequence[int], strides: Sequence[int], length: int) -> None:
        """That all of a rectangle was written; remembers that it was read."""

    def _mark_written(self, address: int, counts: Sequence[int], strides: Sequence[int], length: int) -> None:
        """That a rectangle may be written over; remembers that it was."""
        raise failure(f"write to {self.name}")

    def read_bytes(self, address: int, size: int) -> Bytes:
        """A view of `size` bytes."""
        self.check_range(address, size)
        address = self._at(address)
        self._mark_read(address, (), (), size)
        return self._data[address : address + size]

    def read(self, address: int, count: int, kind: ElementType) -> NDArray[np.integer]:
        """`count` elements."""
        return self.read_bytes(address, count * kind.size).view(DTYPES[kind])

    def write(self, address: int, values: NDArray[np.integer], kind: ElementType) -> None:
        """Elements that the caller has already saturated to `kind`."""
        data = np.ascontiguousarray(values, DTYPES[kind]).reshape(-1).view(np.uint8)
        self.check_range(address, len(data))
        address = self._at(address)
        self._mark_written(address, (), (), len(data))
        self._data[address : address + len(data)] = data

    def read_map(self, place: RowMap) -> NDArray[np.integer]:
        """A map that has been checked to exist, as [planes, rows, columns]: a view where the rows lie in
        order."""
        for part in place.parts:
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
            for slot, rows in place.parts
        ]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    def write_map(self, place: RowMap, values: NDArray[np.integer]) -> None:
        """Elements that the caller has already saturated, to a map that has been checked to exist."""
        shaped = values.reshape(place.planes, place.rows, place.columns)
        row = 0
        for slot, rows in place.parts:
            part = np.ascontiguousarray(shaped[:, row : row + rows], DTYPES[place.kind])
            where = _slots(place, slot, rows)
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
        self._check_rectangle((address, counts, strides, length))
        source._check_rectangle((source_address, counts, source_strides, length))
        to = self._at(address), counts, strides, length
        origin = source._at(source_address), counts, source_strides, length
        source._mark_read(*origin)
        self._mark_written(*to)
        rectangle(self._data, *to)[...] = rectangle(source._data, *origin)

    def _check_rectangle(self, where: Where) -> None:
        self.check_range(where[0], _reach(where))


Where = tuple[int, Sequence[int], Sequence[int], int]  # address, counts, strides, length; as `rectangle`


def _reach(where: Where) -> int:
    """From the first byte to behind the last."""
    _, counts, strides, length = where
    return sum((count - 1) * stride for count, stride in zip(counts, strides, strict=True)) + length


def _slots(place: RowMap, slot: int, rows: int) -> Where:
    """Some slots of every plane."""
    plane = place.slots * place.row_bytes
    address = place.address + slot * place.row_bytes
    if rows == place.slots or place.planes == 1:
        return address, (), (), place.planes * rows * place.row_bytes
    return address, (place.planes,), (plane,), rows * place.row_bytes


_NEVER, _DONE, _FRESH, _LOADED = 0, 1, 2, 3
SEARCHED = 1 << 24  # bytes of marks


class Marks:
    """A mark for each byte: never written; written; written, and of interest still (`fresh`); written, and
    loaded by the group that runs."""

    def __init__(self, size: int) -> None:
        # a bytearray is searched fast where marks lie together, but takes its memory at once
        self._bytes = bytearray(size) if size <= SEARCHED else None
        self._marks = (
            np.zeros(size, np.uint8) if self._bytes is None else np.frombuffer(self._bytes, np.uint8)
        )

    def has(self, mark: int, where: Where) -> bool:
        """Whether any mark of a rectangle is this one."""
        address, counts, _, length = where
        if not counts and self._bytes is not None:
            return self._bytes.find(mark, address, address + length) >= 0
        return bool((rectangle(self._marks, *where) == mark).any())

    def put(self, mark: int, where: Where) -> None:
        """One mark for a rectangle."""
        rectangle(self._marks, *where)[...] = mark


DERIVED = 64  # at most so many things derived from bytes are kept, and of no more bytes than there are


class Scratchpad(Memory):
    """SRAM, or the host's workspace. What is written must be read before it is written over, or the transfers
    overlap."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, np.zeros(size, np.uint8))
        self._marks = Marks(size)
        self._derived: dict[tuple[int, int, object], Any] = {}

    def derived(self, address: int, size: int, key: object, make: Callable[[], Any]) -> Any:
        """What `make` makes of `size` bytes at `address`; made anew once one of them is written over."""
        entry = (address, size, key)
        if entry not in self._derived:
            held = sum(length for _, length, _ in self._derived)
            if len(self._derived) >= DERIVED or held + size > len(self._data):
                self._derived.clear()
            self._derived[entry] = make()
        return self._derived[entry]

    def _forget(self, where: Where) -> None:
        """Drops what was derived from bytes between the first and the last of a rectangle."""
        address, end = where[0], where[0] + _reach(where)
        gone = [entry for entry in self._derived if entry[0] < end and address < entry[0] + entry[1]]
        for entry in gone:
            del self._derived[entry]

    def _mark_read(self, *where: Any) -> None:
        if self._marks.has(_NEVER, where):
            raise failure(f"read of bytes of {self.name} that were never written")
        if self._marks.has(_FRESH, where):
            self._marks.put(_DONE, where)

    def _mark_written(self, *where: Any) -> None:
        if self._marks.has(_FRESH, where):
            raise failure(f"bytes of {self.name} are written over before anything has read them")
        self._marks.put(_FRESH, where)
        if self._derived:
            self._forget(where)

    def check_all_read(self) -> None:
        """At the end: that nothing was brought here for nothing."""
        if self._marks.has(_FRESH, (0, (), (), len(self._data))):
            raise failure(f"bytes of {self.name} are written, but nothing reads them")


class Constants(Memory):
    """The weights section, or the host's constants: read only."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(name, np.frombuffer(data, np.uint8))


class Dram(Memory):
    """DRAM. Within a group no byte is stored twice, and none is both loaded and stored: engines wait for each
    other's SRAM only.

    It has `size` bytes, but takes memory for those alone that lie in a stretch, (address, bytes): whatever is
    read or written does.
    """

    def __init__(self, name: str, size: int, stretches: Iterable[tuple[int, int]]) -> None:
        self._size = size
        self._used = Used(stretches, size)
        super().__init__(name, np.zeros(self._used.bytes, np.uint8))
        self._marks = Marks(self._used.bytes)
        self._moved: list[Where] = []  # by the group that runs; their marks are fresh or loaded

    @property
    def _bytes(self) -> int:
        return self._size

    def _at(self, address: int) -> int:
        return self._used.place(address)

    def begin_group(self) -> None:
        """Everything stored before is there to be loaded."""
        for where in self._moved:
            self._marks.put(_DONE, where)
        self._moved.clear()

    def _mark_read(self, *where: Any) -> None:
        if self._marks.has(_NEVER, where):
            raise failure(f"read of bytes of {self.name} that were never written")
        if self._marks.has(_FRESH, where):
            raise failure(f"a group reads bytes of {self.name} that it writes itself")
        self._marks.put(_LOADED, where)
        self._moved.append(where)

    def _mark_written(self, *where: Any) -> None:
        if self._marks.has(_FRESH, where):
            raise failure(f"a group writes bytes of {self.name} twice")
        if self._marks.has(_LOADED, where):
            raise failure(f"a group writes bytes of {self.name} that it has read")
        self._marks.put(_FRESH, where)
        self._moved.append(where)

    def read_final(self, address: int, count: int, kind: ElementType) -> NDArray[np.integer]:
        """A copy of elements as they are between groups."""
        size = count * kind.size
        self.check_range(address, size)
        address = self._at(address)
        if self._marks.has(_NEVER, (address, (), (), size)):
            raise failure(f"read of bytes of {self.name} that were never written")
        return self._data[address : address + size].copy().view(DTYPES[kind])
