"""What the rows of a sweep are measured on: the same samples, or their figures could not be ranked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.manifest import overrides
from modelbuild.manifest.problems import Problems
from modelbuild.stages.request import ModelRequest


@dataclass(frozen=True)
class Evaluation:
    """`count` samples of the set, None for all of it, that all rows are measured on: `samples` in all."""

    set: str
    count: int | None
    samples: int

    @property
    def override(self) -> overrides.Override:
        """It as if `--set` had said it of every row."""
        problems = Problems()
        count = "null" if self.count is None else self.count
        found = overrides.read([f'evaluation={{set: "{self.set}", count: {count}}}'], problems)
        problems.raise_any()
        return found[0]

    def __str__(self) -> str:
        many = f"{self.samples} samples" if self.samples != 1 else "1 sample"
        return f"every row is measured on the same {many} of {self.set}"


def common_evaluation(requests: Sequence[ModelRequest]) -> Evaluation | None:
    """What rows have to be measured on that would be on different samples; None where they are on the same.

    It is the `evaluation:` that some of them have, or else the calibration samples of the row that has most.
    Raises ModelbuildError (exit 2) where they name different sets or evaluations: none is everybody's."""
    if len({request.evaluation and _files(request) for request in requests}) < 2:
        return None
    named = [request for request in requests if request.settings["evaluation"] is not None]
    measured = named or [request for request in requests if request.evaluation is not None]
    what = "evaluation" if named else "calibration"
    sets = _distinct(request.settings[what]["set"] for request in measured)
    if len(sets) > 1 or (named and len({_files(request) for request in named}) > 1):
        raise ModelbuildError(
            "the rows would be measured on different samples, and could not be ranked",
            why=f"their `{what}` is not the same: {', '.join(sets)}" if len(sets) > 1 else "counts differ",
            advice="name one set to measure all of them on: `evaluation:` in the manifest, or "
            f"--try evaluation={sets[0]}",
        )
    most = max(measured, key=lambda request: len(_files(request)))
    choice = most.settings[what]
    return Evaluation(choice["set"], choice["count"], len(_files(most)))


def _files(request: ModelRequest) -> tuple[tuple[tuple[str, str], ...], ...]:
    assert request.evaluation is not None
    return tuple(tuple(sorted(files.items())) for files in request.evaluation.files)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
