"""Counts cycles: engines that take turns, or four at once that wait for each other's SRAM."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from modelbuild.npu.program import Rates
from modelbuild.npu.simulator.accesses import Access
from modelbuild.npu.simulator.maps import Stretch

Granules = slice | NDArray[np.int64]


class Clock(Protocol):
    """Counts what a program takes."""

    @property
    def now(self) -> int:
        """The cycle at which everything so far is done."""

    def begin_layer(self) -> None:
        """A barrier and a group's overhead."""

    def run(self, access: Access) -> None:
        """One instruction, in order on its engine."""


def clock(rates: Rates, sram_size: int) -> Clock:
    """The clock of a chip with one engine at a time, or with four at once."""
    return Turns(rates) if rates.engines == 1 else Interlocks(rates, sram_size)


class Turns:
    """One engine at a time: a sum."""

    def __init__(self, rates: Rates) -> None:
        self.now = 0
        self._overhead = rates.layer_overhead

    def begin_layer(self) -> None:
        """A group's overhead."""
        self.now += self._overhead

    def run(self, access: Access) -> None:
        """One instruction after another."""
        self.now += access.cycles


class Interlocks:
    """Four engines; remembers, for every granule of SRAM, when its last read and its last write end."""

    def __init__(self, rates: Rates, sram_size: int) -> None:
        granules = -(-sram_size // rates.granule)
        self._granule = rates.granule
        self._read_until = np.zeros(granules, np.int64)
        self._written_until = np.zeros(granules, np.int64)
        self._free: dict[str, int] = {}
        self._start = 0
        self._overhead = rates.layer_overhead

    @property
    def now(self) -> int:
        """The cycle at which everything so far is done."""
        return max(self._start, *self._free.values()) if self._free else self._start

    def begin_layer(self) -> None:
        """A barrier and a group's overhead."""
        self._start = self.now + self._overhead
        self._free.clear()

    def run(self, access: Access) -> None:
        """An instruction starts when its engine is free, what it reads is written, and what it writes is
        neither being read nor written."""
        start = self._free.get(access.engine, self._start)
        reads, writes = self._granules(access.reads), self._granules(access.writes)
        for granules in (*reads, *writes):
            start = max(start, int(self._written_until[granules].max()))
        for granules in writes:
            start = max(start, int(self._read_until[granules].max()))
        end = start + access.cycles
        self._free[access.engine] = end
        for granules in reads:
            self._read_until[granules] = np.maximum(self._read_until[granules], end)
        for granules in writes:
            self._written_until[granules] = end

    def _granules(self, stretches: Iterable[Stretch]) -> list[Granules]:
        return [touched_granules(stretch, self._granule) for stretch in stretches]


FEW_RUNS = 1 << 12


def touched_granules(stretch: Stretch, granule: int) -> Granules:
    """Indices of the granules that hold a byte of the stretch."""
    if not stretch.loops:
        return slice(stretch.address // granule, (stretch.address + stretch.length - 1) // granule + 1)
    if len(stretch.loops) > 1 and math.prod(count for count, _ in stretch.loops) > FEW_RUNS:
        return _marked_granules(stretch, granule)
    length, starts = stretch.length, np.array([stretch.address])
    for count, stride in sorted(stretch.loops, key=lambda loop: loop[1]):
        if stride - length < granule and len(starts) == 1:  # no whole granule lies in a gap
            length += (count - 1) * stride
        else:
            starts = (starts[:, None] + np.arange(count) * stride).reshape(-1)
    first, last = starts // granule, (starts + length - 1) // granule
    if len(starts) == 1:
        return slice(int(first[0]), int(last[0]) + 1)
    width = int((last - first).max()) + 1
    found: NDArray[np.int64] = np.minimum(first[:, None] + np.arange(width), last[:, None]).reshape(-1)
    return found


def _marked_granules(stretch: Stretch, granule: int) -> NDArray[np.int64]:
    before = stretch.address % granule
    marks = np.zeros(before + stretch.span, np.bool_)
    counts, strides = zip(*stretch.loops, strict=True)
    as_strided(marks[before:], (*counts, stretch.length), (*strides, 1))[...] = True
    found = np.logical_or.reduceat(marks, np.arange(0, len(marks), granule))
    return np.flatnonzero(found) + stretch.address // granule
