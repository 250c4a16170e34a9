"""Exact rescaling of integers, from docs/arithmetic.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.program import ElementType
from modelbuild.npu.simulator.maps import RowMap
from modelbuild.npu.simulator.memory import DTYPES, Int64, Memory, failure

ROUNDING_ROOM = 1 << 61  # the largest that rounding adds before a shift


@dataclass(frozen=True)
class Scaling:
    """Multipliers and shifts, checked to be in range."""

    multiplier: Int64
    shift: Int64

    def __post_init__(self) -> None:
        if (np.abs(self.multiplier) > 2**31 - 1).any() or (self.shift > 62).any():
            raise failure("a multiplier or shift is out of range")

    def reshape(self, *shape: int) -> Scaling:
        """The same in another shape."""
        return Scaling(self.multiplier.reshape(shape), self.shift.reshape(shape))

    def select(self, index: NDArray[np.integer]) -> Scaling:
        """Entry `index` for each element."""
        return Scaling(self.multiplier[index], self.shift[index])


def rounding(shift: Int64) -> Int64:
    """2^(shift - 1), or 0 where nothing is shifted."""
    return np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), np.int64(0))


def check_accumulator(peak: int, wide: bool) -> None:
    """That the accumulator (32 bits; 48 where an operand has 16) holds a value of this size."""
    if peak >= 1 << (47 if wide else 31):
        raise failure(f"an accumulator of {48 if wide else 32} bits overflows")


def magnitude(values: NDArray[np.integer]) -> int:
    """The largest absolute value."""
    return max(int(values.max(initial=0)), -int(values.min(initial=0)))


def check_products(peak: int, scaling: Scaling) -> None:
    """That values of this size times the multipliers, rounded, fit 64 bits."""
    if peak * magnitude(scaling.multiplier) + ROUNDING_ROOM >= 1 << 63:
        raise failure("a product does not fit 64 bits")


def rescale(values: Int64, scaling: Scaling, peak: int | None = None) -> Int64:
    """(v * M + r) >> s, rounding half up. `peak` is a known bound of |v|."""
    check_products(magnitude(values) if peak is None else peak, scaling)
    result = values * scaling.multiplier
    result += rounding(scaling.shift)
    result >>= scaling.shift
    return result


def saturate(values: Int64, zero: int, low: int, high: int, kind: int) -> NDArray[np.integer]:
    """values + zero within low..high, in the output's type. Works in place."""
    values += zero
    return np.clip(values, low, high, out=values).astype(DTYPES[ElementType(kind)])


def unsigned(record: NDArray[np.uint8], start: int, size: int) -> Int64:
    """Little-endian unsigned integers of `size` bytes at `start` of each row of bytes."""
    padded = np.zeros((len(record), 8), np.uint8)
    padded[:, :size] = record[:, start : start + size]
    return padded.view("<i8").reshape(-1).astype(np.int64)


def signed(record: NDArray[np.uint8], start: int, size: int) -> Int64:
    """As `unsigned`, in two's complement."""
    value = unsigned(record, start, size)
    half = np.int64(1 << (8 * size - 1))
    return (value ^ half) - half


def read_records(memory: Memory, address: int, count: int, size: int) -> NDArray[np.uint8]:
    """`count` rows of `size` bytes."""
    return memory.read_bytes(address, count * size).reshape(count, size)


def read_scaling(memory: Memory, address: int) -> Scaling:
    """One multiplier (4 bytes) and shift (1 byte)."""
    record = read_records(memory, address, 1, 5)
    return Scaling(signed(record, 0, 4), unsigned(record, 4, 1))


def centred(memory: Memory, address: int, count: int, kind: int, zero: int) -> Int64:
    """`count` elements less their zero point."""
    values = memory.read(address, count, ElementType(kind)).astype(np.int64)
    values -= zero
    return values


def centred_map(memory: Memory, place: RowMap, zero: int) -> Int64:
    """A map [planes, rows, columns] less its zero point."""
    values = memory.read_map(place).astype(np.int64)
    values -= zero
    return values
