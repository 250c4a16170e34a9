"""What bounds a layer: the array, the memory, the weights, or what a group of layers costs by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Busy:
    """Cycles that each engine works, and those of overhead; of a layer, or of many together."""

    compute: int = 0
    read: int = 0
    write: int = 0
    weights: int = 0
    overhead: int = 0

    @property
    def total(self) -> int:
        """If one followed the other."""
        return self.compute + self.read + self.write + self.weights + self.overhead

    def bound(self, engines: int) -> str:
        """What to make faster first: compute, dma, weights or overhead. Reading and writing add up where
        engines take turns."""
        parts = {
            "compute": self.compute,
            "dma": self.read + self.write if engines == 1 else max(self.read, self.write),
            "weights": self.weights,
            "overhead": self.overhead,
        }
        return max(parts, key=lambda name: parts[name])


def together(parts: Iterable[Busy]) -> Busy:
    """The sum."""
    found = list(parts)
    return Busy(
        sum(part.compute for part in found),
        sum(part.read for part in found),
        sum(part.write for part in found),
        sum(part.weights for part in found),
        sum(part.overhead for part in found),
    )
