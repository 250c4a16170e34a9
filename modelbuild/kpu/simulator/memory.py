"""The memories of a kmodel in one space of addresses; every access is checked before it is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import as_strided

from modelbuild.kpu.simulator.limits import MAX_ELEMENTS, MAX_MEMORY, refused

Array = np.ndarray
SPAN = 1 << 40  # addresses from one memory to the next; 0 is the null address
NULL = 0


@dataclass
class Region:
    """One memory. `written` tells which bytes hold something; None: all do."""

    name: str
    data: Array
    written: Array | None
    base: int
    constant: bool = False

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.data.size)


@dataclass
class Memory:
    """All regions of a machine. Where it is not `strict`, memory that nothing wrote reads as zeros."""

    strict: bool = True
    regions: list[Region] = field(default_factory=list)
    size: int = 0

    def add(self, name: str, size: int, data: bytes | None = None, *, constant: bool = False) -> Region:
        """A new region, of `data` or of bytes that nothing has written."""
        self.size += size if data is None else len(data)
        if self.size > MAX_MEMORY:
            raise refused(f"its memories have more than {MAX_MEMORY} bytes")
        if data is None:
            held, written = np.zeros(size, np.uint8), np.zeros(size, np.bool_) if self.strict else None
            region = Region(name, held, written, SPAN * (len(self.regions) + 1), constant)
        else:
            held = np.frombuffer(data, np.uint8).copy()
            region = Region(name, held, None, SPAN * (len(self.regions) + 1), constant)
        self.regions.append(region)
        return region

    def place(self, address: int) -> tuple[Region, int]:
        """The region of an address, and the offset in it."""
        index, offset = divmod(address, SPAN)
        if not 1 <= index <= len(self.regions):
            raise refused(f"0x{address & (1 << 64) - 1:x} is no address")
        return self.regions[index - 1], offset

    def load(self, address: int, dtype: np.dtype, shape: Sequence[int], strides: Sequence[int]) -> Array:
        """The values at `address`, not to be written to; strides in elements. All must have been written."""
        region, offset = self.place(address)
        if elements(shape) == 0:
            return np.zeros(shape, dtype)
        begin, end = extent(region, offset, dtype, shape, strides)
        if region.written is not None:
            self._check(region, begin, end, dtype, shape, strides)
        if contiguous(shape, strides):
            found = region.data[begin:end].view(dtype).reshape(shape)
        else:
            found = as_strided(
                region.data[begin:end].view(dtype),
                tuple(shape),
                tuple(stride * dtype.itemsize for stride in strides),
            )
        found.flags.writeable = False
        return found

    def store(self, address: int, values: Array, strides: Sequence[int], *, anywhere: bool = False) -> None:
        """Writes the values; strides in elements. `anywhere`: into constants too."""
        region, offset = self.place(address)
        if region.constant and not anywhere:
            raise refused(f"it writes to {region.name}, which holds constants")
        shape = values.shape
        if values.size == 0:
            return
        begin, end = extent(region, offset, values.dtype, shape, strides)
        if contiguous(shape, strides):
            region.data[begin:end] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
            if region.written is not None:
                region.written[begin:end] = True
            return
        steps = tuple(stride * values.dtype.itemsize for stride in strides)
        as_strided(region.data[begin:end].view(values.dtype), shape, steps)[...] = values
        if region.written is not None:
            _bytes(region.written[begin:end], values.dtype, shape, strides)[...] = True

    def _check(
        self,
        region: Region,
        begin: int,
        end: int,
        dtype: np.dtype,
        shape: Sequence[int],
        strides: Sequence[int],
    ) -> None:
        """That nothing is read that was not written before."""
        assert region.written is not None
        known = region.written[begin:end]
        if known.all():
            return
        if contiguous(shape, strides) or not _bytes(known, dtype, shape, strides).all():
            place = begin + int(np.argmin(known))
            raise refused(f"it reads {region.name} from byte {begin} on, of which nothing wrote byte {place}")


def elements(shape: Sequence[int]) -> int:
    """How many a tensor has, which must not be too many."""
    if any(size < 0 for size in shape):
        raise refused(f"a tensor has the shape {list(shape)[:8]}")
    count = math.prod(shape)
    if count > MAX_ELEMENTS:
        raise refused(f"a tensor of shape {list(shape)[:8]} has more than {MAX_ELEMENTS} elements")
    return count


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides in elements of a tensor without gaps."""
    found, step = [], 1
    for size in reversed(shape):
        found.append(step)
        step *= size
    return tuple(reversed(found))


def contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the elements follow each other; the strides of single ones do not count."""
    wanted = row_major(shape)
    if len(strides) != len(wanted):
        raise refused(f"a tensor of shape {list(shape)} has {len(strides)} strides")
    return all(size == 1 or one == two for size, one, two in zip(shape, strides, wanted, strict=True))


def extent(
    region: Region, offset: int, dtype: np.dtype, shape: Sequence[int], strides: Sequence[int]
) -> tuple[int, int]:
    """First and last byte in the region that a tensor of one element or more touches."""
    if len(shape) != len(strides):
        raise refused(f"a tensor of shape {list(shape)} has {len(strides)} strides")
    if any(stride < 0 for stride in strides):
        raise refused(f"a tensor has the strides {list(strides)}")
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    end = offset + (last + 1) * dtype.itemsize
    if end > region.size:
        raise refused(
            f"a tensor of shape {list(shape)[:8]} at byte {offset} of {region.name} ends at {end}",
            why=f"it has {region.size} bytes",
        )
    return offset, end


def _bytes(known: Array, dtype: np.dtype, shape: Sequence[int], strides: Sequence[int]) -> Array:
    """Of the flags of bytes those that belong to the tensor."""
    steps = (*(stride * dtype.itemsize for stride in strides), 1)
    return as_strided(known, (*shape, dtype.itemsize), steps)
