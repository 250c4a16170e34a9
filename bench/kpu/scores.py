"""Outputs against those of the float model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelbuild.quantize.measure import Difference, snr_db


@dataclass(frozen=True)
class Score:
    """SNR in dB: `pooled_db` of all outputs and samples as one tensor, `outputs_db` of each output over the
    samples."""

    pooled_db: float
    outputs_db: tuple[float, ...]

    @property
    def mean_db(self) -> float:
        """The mean over outputs."""
        return sum(self.outputs_db) / len(self.outputs_db)


def score(expected: Sequence[Sequence[np.ndarray]], found: Sequence[Sequence[np.ndarray]]) -> Score:
    """Samples of outputs. Raises ValueError where they cannot be compared."""
    differences = [Difference() for _ in expected[0]]
    for ours, theirs in zip(expected, found, strict=True):
        for x, y, difference in zip(ours, theirs, differences, strict=True):
            if x.size != y.size or not np.isfinite(y).all():
                raise ValueError(f"an output has {y.size} values of {x.size}, or some not finite")
            difference.add(x, y)
    pooled = snr_db(sum(one.signal for one in differences), sum(one.noise for one in differences))
    return Score(pooled, tuple(one.snr_db for one in differences))
