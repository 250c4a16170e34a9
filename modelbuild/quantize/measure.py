"""How far two sets of outputs are apart: SNR, cosine, largest difference, top-k; all streaming."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

WHOLE = (np.dtype(np.int32), np.dtype(np.int64))  # places and counts; codes are narrower
LARGEST_DB = 200.0  # reported where the two agree in every number


def snr_db(signal: float, noise: float) -> float:
    """10 log10(signal / noise) from sums of squares, within +-200 dB."""
    if noise <= 0.0:
        return LARGEST_DB
    if signal <= 0.0:
        return -LARGEST_DB
    return min(max(10.0 * math.log10(signal / noise), -LARGEST_DB), LARGEST_DB)


def _dot(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The sum of products, added in pairs: a BLAS's order hangs on its threads and on the processor."""
    return float(np.add.reduce(x * y))


@dataclass
class Difference:
    """Sums over samples of one tensor; memory does not grow with their number."""

    samples: int = 0
    signal: float = 0.0
    noise: float = 0.0
    other: float = 0.0
    product: float = 0.0
    largest: float = 0.0
    decibels: float = 0.0
    whole: bool = False  # of whole numbers, whose shares of equal ones say more than decibels
    cells: int = 0
    same: int = 0

    def add(self, expected: NDArray[Any], found: NDArray[Any]) -> None:
        """One sample's tensor, as it should be and as it is."""
        x, y = expected.astype(np.float64).reshape(-1), found.astype(np.float64).reshape(-1)
        difference = y - x
        signal, noise = _dot(x, x), _dot(difference, difference)
        self.samples += 1
        self.whole = expected.dtype in WHOLE
        self.cells, self.same = self.cells + x.size, self.same + int(np.count_nonzero(x == y))
        self.signal += signal
        self.noise += noise
        self.other += _dot(y, y)
        self.product += _dot(x, y)
        self.largest = max(self.largest, float(np.abs(difference).max(initial=0.0)))
        self.decibels += snr_db(signal, noise)

    @property
    def snr_db(self) -> float:
        """10 log10(sum x^2 / sum (x - y)^2), pooled over samples."""
        return snr_db(self.signal, self.noise)

    @property
    def snr_db_mean(self) -> float:
        """The mean over samples of each sample's SNR."""
        return self.decibels / max(self.samples, 1)

    @property
    def cosine(self) -> float:
        """The cosine between the two, pooled over samples; 1 where both are zero."""
        scale = math.sqrt(self.signal) * math.sqrt(self.other)
        if scale == 0.0:
            return 1.0 if self.signal == self.other else 0.0
        return min(max(self.product / scale, -1.0), 1.0)

    def to_json(self) -> dict[str, float]:
        """The numbers of one output in fixed.json; of whole numbers also the share that is equal."""
        return {
            "snr_db": self.snr_db,
            "snr_db_mean": self.snr_db_mean,
            "cosine": self.cosine,
            "max_abs": self.largest,
            **({"equal": self.same / max(self.cells, 1)} if self.whole else {}),
        }


@dataclass
class Steady:
    """Whether a tensor stops changing: the first sample's in both forms is kept."""

    samples: int = 0
    first: tuple[NDArray[Any], NDArray[Any]] | None = None
    changed: list[bool] = field(default_factory=lambda: [False, False])

    def add(self, expected: NDArray[Any], found: NDArray[Any]) -> None:
        """One sample's tensor, as it should be and as it is."""
        self.samples += 1
        if self.first is None:
            self.first = expected.copy(), found.copy()
            return
        for index, now in enumerate((expected, found)):
            self.changed[index] = self.changed[index] or not np.array_equal(self.first[index], now)

    @property
    def is_lost(self) -> bool:
        """Whether it is the same in all samples where it should not be."""
        return self.samples > 1 and self.changed == [True, False]


@dataclass
class TopK:
    """How often the right class is among the k largest; of equal scores the lower index comes first."""

    ranks: tuple[int, ...] = (1, 5)
    labelled: int = 0
    hits: dict[int, int] = field(default_factory=dict)

    def add(self, scores: NDArray[Any], label: int) -> None:
        """One sample's scores, of any shape."""
        self.labelled += 1
        for rank in self.ranks:
            self.hits[rank] = self.hits.get(rank, 0) + (label in top_k(scores, rank))

    def to_json(self) -> dict[str, float]:
        """{"top1": share, "top5": share}."""
        return {f"top{rank}": self.hits.get(rank, 0) / max(self.labelled, 1) for rank in self.ranks}


def top_k(scores: NDArray[Any], k: int) -> Sequence[int]:
    """The indices of the k largest scores; of equal ones the lower index comes first."""
    flat = scores.reshape(-1)
    return [int(index) for index in np.argsort(-flat.astype(np.float64), kind="stable")[:k]]
