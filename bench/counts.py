"""What a chip is asked to do for one network, as counts: time is these counts by the chip's constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.program import Rates
from modelbuild.npu.program.header import RATE_CYCLES

ARRAY = ("window", "pointwise", "depthwise")  # products, by the rate that they have
ENGINES = ("elements", "read", "write", "weights")
KINDS = (*ARRAY, *ENGINES)
Tally = Counter[tuple[str, int, int]]  # (kind, work, outputs) -> how many instructions


@dataclass(frozen=True)
class Constants:
    """What a chip does in a cycle, and the cycles of a group."""

    window: float
    pointwise: float
    depthwise: float
    outputs: float
    elements: float
    read: float
    write: float
    weights: float
    overhead: float

    @staticmethod
    def of(rates: Rates) -> Constants:
        """The constants that a program counts with."""
        return Constants(
            window=rates.macs / RATE_CYCLES,
            pointwise=rates.macs_pointwise / RATE_CYCLES,
            depthwise=rates.macs_depthwise / RATE_CYCLES,
            outputs=rates.outputs / RATE_CYCLES,
            elements=rates.elements / RATE_CYCLES,
            read=rates.read_bytes / RATE_CYCLES,
            write=rates.write_bytes / RATE_CYCLES,
            weights=rates.weight_bytes / RATE_CYCLES,
            overhead=rates.layer_overhead,
        )


@dataclass(frozen=True)
class Counts:
    """Instructions, alike ones once: kind [n] (index into KINDS), work, outputs (of products), repeats."""

    kind: NDArray[np.int64]
    work: NDArray[np.float64]
    outputs: NDArray[np.float64]
    repeats: NDArray[np.float64]
    groups: int

    @staticmethod
    def of(tally: Mapping[tuple[str, int, int], int], groups: int) -> Counts:
        """Sorted, so that sums do not depend on the order in which instructions came."""
        rows = sorted((KINDS.index(kind), work, outputs, n) for (kind, work, outputs), n in tally.items())
        kind, work, outputs, repeats = np.array(rows, np.float64).reshape(-1, 4).T
        return Counts(kind.astype(np.int64), work, outputs, repeats, groups)

    def total(self, *kinds: str) -> float:
        """The work of these kinds."""
        chosen = np.isin(self.kind, [KINDS.index(kind) for kind in kinds])
        return float((self.work * self.repeats)[chosen].sum())

    def cycles(self, constants: Constants, whole: bool = False) -> float:
        """All instructions one after the other. `whole`: each takes whole cycles, as in a program."""
        per_cycle = np.array([getattr(constants, kind) for kind in KINDS])
        taken = self.work / per_cycle[self.kind]
        leaving = self.outputs / constants.outputs
        taken = np.maximum(taken, leaving)
        if whole:
            taken = np.ceil(taken)
        return float(taken @ self.repeats) + self.groups * constants.overhead
