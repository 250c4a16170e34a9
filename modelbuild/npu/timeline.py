"""The compiler's own prediction of cycles: four engines that wait for each other's buffers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modelbuild.npu.program import Rates
from modelbuild.npu.program.header import RATE_CYCLES

ENGINES = ("read", "weights", "compute", "write")


def cycles_of(work: int, rate: int) -> int:
    """Whole cycles of `work` at so much in RATE_CYCLES cycles."""
    return -(-work * RATE_CYCLES // rate)


@dataclass
class Buffer:
    """A stretch of SRAM, and when it was last read and written."""

    start: int
    size: int
    read_until: int = 0
    written_until: int = 0


class Timeline:
    """An engine runs its instructions in order. Each starts when the engine is free, what it reads is
    written, and what it writes is neither being read nor written. A layer waits for all engines."""

    def __init__(self, rates: Rates) -> None:
        self._free = dict.fromkeys(ENGINES, 0)
        self._rates = {
            "read": rates.read_bytes,
            "weights": rates.weight_bytes,
            "write": rates.write_bytes,
        }
        self._overhead = rates.layer_overhead

    @property
    def now(self) -> int:
        """The cycle at which all engines are done."""
        return max(self._free.values())

    def begin_layer(self) -> None:
        """All engines wait for the last, and pay a layer's overhead."""
        self._free = dict.fromkeys(ENGINES, self.now + self._overhead)

    def transfer(self, engine: str, size: int, reads: Iterable[Buffer], writes: Iterable[Buffer]) -> None:
        """`size` bytes by one of the DMA engines."""
        self._run(engine, cycles_of(size, self._rates[engine]), reads, writes)

    def compute(self, cycles: int, reads: Iterable[Buffer], writes: Iterable[Buffer]) -> None:
        """So many cycles of the array."""
        self._run("compute", cycles, reads, writes)

    def _run(self, engine: str, cycles: int, reads: Iterable[Buffer], writes: Iterable[Buffer]) -> None:
        reads, writes = tuple(reads), tuple(writes)
        waits = [buffer.written_until for buffer in (*reads, *writes)]
        waits += [buffer.read_until for buffer in writes]
        end = max([self._free[engine], *waits]) + cycles
        self._free[engine] = end
        for buffer in reads:
            buffer.read_until = max(buffer.read_until, end)
        for buffer in writes:
            buffer.written_until = end
