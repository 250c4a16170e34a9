"""The compiler's own prediction of cycles: four engines that wait for each other's buffers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modelbuild.npu.program import Rates
from modelbuild.npu.program.header import RATE_CYCLES

ENGINES = ("read", "weights", "compute", "write")


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
        self._run(engine, size, self._rates[engine], reads, writes)

    def compute(self, work: int, rate: int, reads: Iterable[Buffer], writes: Iterable[Buffer]) -> None:
        """`work` of which the array does `rate` in RATE_CYCLES cycles."""
        self._run("compute", work, rate, reads, writes)

    def _run(
        self, engine: str, work: int, rate: int, reads: Iterable[Buffer], writes: Iterable[Buffer]
    ) -> None:
        reads, writes = tuple(reads), tuple(writes)
        waits = [buffer.written_until for buffer in (*reads, *writes)]
        waits += [buffer.read_until for buffer in writes]
        end = max([self._free[engine], *waits]) + -(-work * RATE_CYCLES // rate)
        self._free[engine] = end
        for buffer in reads:
            buffer.read_until = max(buffer.read_until, end)
        for buffer in writes:
            buffer.written_until = end
