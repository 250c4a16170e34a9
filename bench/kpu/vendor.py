"""nncase 1.9 on a network: each of its calibrations, and the one that is nearest to the float model."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.judges import nncase
from bench.kpu.networks import Arrays, Network, forms
from bench.kpu.scores import Score, score

METHODS = ("no_clip", "kld_m2", "cdf")
SECONDS = 900  # of one compilation


@dataclass(frozen=True)
class Built:
    """A kmodel and what it scored. `form` says which model its compiler took, or the settings that it had;
    `run_seconds` are those of one input in the vendor's simulator."""

    kmodel: bytes
    how: str
    seconds: float
    cpu_seconds: float
    score: Score
    run_seconds: float
    outputs: Sequence[Arrays]


def best(network: Network) -> Built:
    """The best of its calibrations by the score. Raises JudgeError where it compiles none of the forms."""
    with tempfile.TemporaryDirectory() as folder:
        found: list[Built] = []
        for form, path in forms(network, Path(folder)).items():
            try:
                found = [_built(network, path, form, method) for method in METHODS]
                break
            except nncase.JudgeError as error:
                refused = error
        if not found:
            raise refused
    return max(found, key=lambda one: one.score.pooled_db)


def _built(network: Network, path: Path, form: str, method: str) -> Built:
    samples = [[sample] for sample in network.calibration]
    made = nncase.compile_timed(path, "k210", {"calibrate_method": method}, samples, seconds=SECONDS)
    return judged(network, made, f"{method}, {form}")


def judged(network: Network, made: nncase.Vendor, how: str) -> Built:
    """A kmodel's score, by what the vendor's simulator makes of the evaluation samples."""
    sets = [[sample] for sample in network.evaluation]
    found = nncase.run_sets(made.kmodel, sets, seconds=SECONDS)
    return Built(
        made.kmodel,
        how,
        made.seconds,
        made.cpu_seconds,
        score(network.expected, found.outputs),
        found.seconds / len(sets),
        found.outputs,
    )
