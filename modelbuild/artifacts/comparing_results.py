"""What postprocessing makes of two models' outputs, compared number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.artifacts.values import numbers
from modelbuild.quantize.measure import Difference

Array = NDArray[Any]


class Results:
    """Collects the results of one sample after another."""

    def __init__(self) -> None:
        self._differences: dict[str, Difference] = {}
        self._unlike: dict[str, int] = {}

    def add(self, expected: Any, found: Any) -> None:
        """The results for one sample. Numbers are matched by their place in the result; what one side lacks,
        has in another shape (as many boxes as were found), or as NaN or infinity, cannot be measured."""
        first, second = dict(numbers(expected)), dict(numbers(found))
        for name in dict.fromkeys([*first, *second]):
            difference = self._differences.setdefault(name, Difference())
            one, other = first.get(name), second.get(name)
            if one is None or other is None or not _comparable(one, other):
                self._unlike[name] = self._unlike.get(name, 0) + 1
            elif one.size:
                difference.add(np.atleast_1d(one), np.atleast_1d(other))

    def to_json(self) -> tuple[dict[str, Any], ...]:
        """An entry a number or array: as of an output, and on how many samples it could not be measured
        (`unlike`). Where it never could, the measurements are null."""
        return tuple(
            {"name": name, **_measured(difference), "unlike": self._unlike.get(name, 0)}
            for name, difference in self._differences.items()
        )


def _comparable(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool(np.isfinite(one).all() and np.isfinite(other).all())


def _measured(difference: Difference) -> dict[str, Any]:
    found = difference.to_json()
    return found if difference.samples else dict.fromkeys(found)
