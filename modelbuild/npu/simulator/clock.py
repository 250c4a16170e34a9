"""Counts cycles from decoded instructions: four engines, interlocked by the SRAM addresses they touch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from modelbuild.npu.program import Rates
from modelbuild.npu.program.header import RATE_CYCLES
from modelbuild.npu.simulator.accesses import Access, Range

GRANULE = 16  # bytes of SRAM that are interlocked together


class Clock:
    """Remembers, for every granule of SRAM, when its last read and its last write end."""

    def __init__(self, rates: Rates, sram_size: int) -> None:
        granules = -(-sram_size // GRANULE)
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
        """A barrier and a layer's overhead."""
        self._start = self.now + self._overhead
        self._free.clear()

    def run(self, access: Access) -> None:
        """One instruction, in order on its engine."""
        start = self._free.get(access.engine, self._start)
        for granules in _granules(access.reads):
            start = max(start, int(self._written_until[granules].max()))
        for granules in _granules(access.writes):
            start = max(
                start, int(self._written_until[granules].max()), int(self._read_until[granules].max())
            )
        end = start + -(-access.work * RATE_CYCLES // access.rate)
        self._free[access.engine] = end
        for granules in _granules(access.reads):
            self._read_until[granules] = np.maximum(self._read_until[granules], end)
        for granules in _granules(access.writes):
            self._written_until[granules] = end


def _granules(ranges: Iterable[Range]) -> list[slice]:
    return [slice(address // GRANULE, -(-(address + size) // GRANULE)) for address, size in ranges]
