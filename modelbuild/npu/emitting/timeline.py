"""The compiler's own prediction of cycles: engines that take turns, or four that wait for each other's SRAM.

Written from docs/program-format.md; the simulator counts with code of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.distinct import distinct
from modelbuild.npu.program import Rates

ENGINES = ("read", "weights", "compute", "write")
MANY = 8  # runs of granules that are looked at one by one; more of them all at once


@dataclass(frozen=True, slots=True)
class Span:
    """`runs` runs of `length` bytes of SRAM, `stride` apart."""

    address: int
    length: int
    runs: int = 1
    stride: int = 0


class Timeline(Protocol):
    """When each instruction runs."""

    @property
    def now(self) -> int:
        """The cycle at which all engines are done."""

    def begin_group(self) -> None:
        """All engines wait for the last, and pay a group's overhead."""

    def run(self, engine: str, cycles: int, reads: Iterable[Span], writes: Iterable[Span]) -> int:
        """One instruction on its engine; the cycle at which it starts."""


def timeline(rates: Rates) -> Timeline:
    """The timeline of a chip with one engine at a time, or with four at once."""
    return _OneAtATime(rates) if rates.engines == 1 else _FourAtOnce(rates)


class _OneAtATime:
    """Nothing overlaps: a sum."""

    def __init__(self, rates: Rates) -> None:
        self.now = 0
        self._overhead = rates.layer_overhead

    def begin_group(self) -> None:
        self.now += self._overhead

    def run(self, engine: str, cycles: int, reads: Iterable[Span], writes: Iterable[Span]) -> int:
        start = self.now
        self.now += cycles
        return start


class _FourAtOnce:
    """An engine runs its instructions in order. Each starts when the engine is free, what it reads is
    written, and what it writes is neither being read nor written; SRAM is looked at in granules."""

    def __init__(self, rates: Rates) -> None:
        self._granule = rates.granule
        self._overhead = rates.layer_overhead
        self._free = dict.fromkeys(ENGINES, 0)
        self._busy = np.zeros((2, 64), np.int64)  # until when each granule is read, and is written

    @property
    def now(self) -> int:
        return max(self._free.values())

    def begin_group(self) -> None:
        self._free = dict.fromkeys(ENGINES, self.now + self._overhead)

    def run(self, engine: str, cycles: int, reads: Iterable[Span], writes: Iterable[Span]) -> int:
        read = [part for span in reads for part in self._parts(span)]
        written = [part for span in writes for part in self._parts(span)]
        start = self._free[engine]
        for part in read:
            start = max(start, int(self._busy[1, part].max()))
        for part in written:
            start = max(start, int(self._busy[:, part].max()))
        end = start + cycles
        self._free[engine] = end
        for part in read:
            self._busy[0, part] = np.maximum(self._busy[0, part], end)
        for part in written:
            self._busy[1, part] = end
        return start

    def _parts(self, span: Span) -> Iterator[slice | NDArray[np.int64]]:
        """The granules that hold a byte of the span, as slices or as indices."""
        granule = self._granule
        last = span.address + (span.runs - 1) * span.stride + span.length
        self._grow(-(-last // granule))
        if span.runs == 1 or span.stride - span.length < granule:  # no whole granule lies in a gap
            yield slice(span.address // granule, -(-last // granule))
            return
        starts = range(span.address, last, span.stride)
        if span.runs <= MANY:
            for start in starts:
                yield slice(start // granule, -(-(start + span.length) // granule))
            return
        first = np.arange(span.address, last, span.stride)
        low, high = first // granule, (first + span.length - 1) // granule
        width = int((high - low).max()) + 1
        yield distinct(np.minimum(low[:, None] + np.arange(width), high[:, None]))

    def _grow(self, granules: int) -> None:
        have = self._busy.shape[1]
        if granules > have:
            self._busy = np.pad(self._busy, ((0, 0), (0, max(granules, 2 * have) - have)))
