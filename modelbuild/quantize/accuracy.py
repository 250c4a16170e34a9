"""What a form of the model gets right of labelled samples: top-k, boxes, and measures of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.average_precision import AveragePrecision
from modelbuild.quantize.found_boxes import found_of
from modelbuild.quantize.measure import TopK

Arrays = Mapping[str, NDArray[Any]]
Postprocessing = Callable[[Arrays, Arrays], Any]  # outputs, inputs -> whatever the user makes of them
# Form of the model -> measure -> value, and how many samples had labels
Measured = dict[str, dict[str, float]]


class Measure(Protocol):
    """Takes sample after sample in order, and has values in the end."""

    section: str  # of what is measured: SHARES or FUNCTIONS

    def add(self, outputs: Arrays, inputs: Arrays) -> None:
        """The model's outputs as real numbers, and its inputs."""

    def values(self) -> dict[str, float]:
        """What was measured, by name."""


SHARES, FUNCTIONS = "accuracy", "functions"  # shares 0..1; values of functions of the user's


@dataclass
class TopOf:
    """Top-1 and top-5 of an output."""

    output: str
    labels: Sequence[int]
    section: str = SHARES
    _top: TopK = field(default_factory=TopK)

    def add(self, outputs: Arrays, inputs: Arrays) -> None:
        """Raises (exit 2) for more samples than labels."""
        if self._top.labelled >= len(self.labels):
            raise ModelbuildError(f"there are {len(self.labels)} labels for more samples")
        self._top.add(outputs[self.output], self.labels[self._top.labelled])

    def values(self) -> dict[str, float]:
        """{"top1", "top5"}."""
        return self._top.to_json()


@dataclass
class ClassOf:
    """Top-1 of an output that tells classes, the best first (ArgMax, TopK); top-5 where it tells five."""

    output: str
    labels: Sequence[int]
    section: str = SHARES
    _hits: dict[str, int] = field(default_factory=dict)
    _count: int = 0

    def add(self, outputs: Arrays, inputs: Arrays) -> None:
        """Raises (exit 2) for more samples than labels."""
        if self._count >= len(self.labels):
            raise ModelbuildError(f"there are {len(self.labels)} labels for more samples")
        told = outputs[self.output].reshape(-1)
        for rank in (1, 5):
            if len(told) >= rank:
                hit = bool((told[:rank] == self.labels[self._count]).any())
                self._hits[f"top{rank}"] = self._hits.get(f"top{rank}", 0) + hit
        self._count += 1

    def values(self) -> dict[str, float]:
        """{"top1", "top5"}."""
        return {key: hits / max(self._count, 1) for key, hits in self._hits.items()}


def of_classes(output: str, labels: Sequence[int], *, whole: bool) -> TopOf | ClassOf:
    """What measures labelled samples at an output of scores, or (`whole`) of classes."""
    return ClassOf(output, labels) if whole else TopOf(output, labels)


@dataclass
class Boxes:
    """Mean average precision of the boxes that `postprocessing` makes; `there` has those of each sample, in
    pixels of the input."""

    postprocessing: Postprocessing
    there: Sequence[Sequence[Mapping[str, Any]]]
    section: str = SHARES
    _average: AveragePrecision = field(default_factory=AveragePrecision)
    _count: int = 0

    def add(self, outputs: Arrays, inputs: Arrays) -> None:
        """Raises (exit 2) where what is made are no boxes."""
        where = f"evaluation sample {self._count + 1}"
        self._average.add(found_of(self.postprocessing(outputs, inputs), where), self.there[self._count])
        self._count += 1

    def values(self) -> dict[str, float]:
        """{"map", "map50"}."""
        return self._average.to_json()


class Forms:
    """The same measures of several forms of the model, side by side."""

    def __init__(self, forms: Sequence[str], make: Callable[[], Sequence[Measure]]) -> None:
        self._measures = {form: list(make()) for form in forms}

    def add(self, form: str, outputs: Arrays, inputs: Arrays) -> None:
        """One more sample of a form. Outputs are given as float32."""
        real = {name: np.asarray(value, np.float32) for name, value in outputs.items()}
        for measure in self._measures[form]:
            measure.add(real, inputs)

    def values(self, section: str) -> Measured:
        """Form -> measure -> value, of one section. Empty where nothing of it was asked for."""
        found: Measured = {}
        for form, measures in self._measures.items():
            for measure in measures:
                if measure.section == section:
                    found.setdefault(form, {}).update(measure.values())
        return found


def with_drop(values: Measured, labelled: int) -> dict[str, Any] | None:
    """The object of fixed.json: the values of both forms, and float less fixed. None without values."""
    if not values:
        return None
    exact, fixed = values["float"], values["fixed"]
    drop = {key: exact[key] - fixed[key] for key in exact}
    return {"labelled": labelled, "float": exact, "fixed": fixed, "drop": drop}
