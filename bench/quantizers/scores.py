"""Outputs against those of the float model: the one metric of the bench, for peers and for us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelbuild.quantize.measure import Difference, TopK


@dataclass(frozen=True)
class Score:
    """SNR in dB, pooled over samples and as the mean over samples, each the mean over outputs; `top1` is a
    share, None without labels."""

    snr_db: float
    snr_db_mean: float
    top1: float | None


def score(expected: Path, found: Path, labels: Sequence[int] | None) -> Score:
    """Of two folders of `running`. Raises ValueError where outputs cannot be compared."""
    differences: list[Difference] = []
    top = TopK(ranks=(1,))
    for index, path in enumerate(sorted(expected.glob("*.npz"))):
        with np.load(path) as ours, np.load(found / path.name) as theirs:
            if len(ours.files) != len(theirs.files):
                raise ValueError(f"{len(theirs.files)} outputs instead of {len(ours.files)}")
            differences = differences or [Difference() for _ in ours.files]
            for name, difference in zip(ours.files, differences, strict=True):
                x, y = ours[name], theirs[name]
                if x.size != y.size or not np.isfinite(y).all():
                    raise ValueError(f"output {name[4:]} has {y.size} values of {x.size}, or some not finite")
                difference.add(x, y)
            if labels is not None:
                top.add(theirs[theirs.files[0]], labels[index])
    return Score(
        snr_db=sum(one.snr_db for one in differences) / len(differences),
        snr_db_mean=sum(one.snr_db_mean for one in differences) / len(differences),
        top1=None if labels is None else top.to_json()["top1"],
    )
