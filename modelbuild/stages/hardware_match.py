"""What the simulator found against what the fixed-point model says: counts, and the first that differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import EXIT_FAILED, ModelbuildError

Array = NDArray[Any]
Element = tuple[int, ...]
Place = Callable[[Element], tuple[int, Element]]  # element of a run's tensor -> (sample, element of its own)


# How far floats may be apart that stand behind an exponential, a logarithm and the like, of which runtimes
# have other last bits: a share of the
# range from 0 of the tensor.
INEXACT = 1e-5


class Match:
    """Counts over all samples how many values of each tensor differ, outputs and layers apart."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {"outputs": {}, "layers": {}}
        self._first: dict[str, Any] | None = None
        self.through: dict[str, tuple[str, ...]] = {}  # layer -> its parts, where it was seen through them
        self.repeating: set[str] = set()  # of these those that cannot differ where their parts do not
        self.inexact: set[str] = set()  # floats that need not be equal in their last bits

    def add(
        self, section: str, found: Mapping[str, Array], expected: Mapping[str, Array], place: Place
    ) -> None:
        """Of one run. Tensors are in the order of execution; `place` tells the sample of an element."""
        counts = self._counts[section]
        for name, values in found.items():
            same = _same(values, expected[name], name in self.inexact)
            counts[name] = counts.get(name, 0) + int(np.count_nonzero(~same))
            if self._first is None and not same.all():
                self._first = _difference(section, name, values, expected[name], same, place)

    @property
    def ran(self) -> bool:
        """Whether there was anything to compare."""
        return any(self._counts.values())

    @property
    def equal(self) -> bool:
        """Whether no value differs."""
        return not any(count for counts in self._counts.values() for count in counts.values())

    def to_json(self) -> dict[str, Any]:
        """`outputs`, `layers` and `first_difference` of hardware.json."""
        listed = {
            section: [
                {"name": n, **self._found(section, n, c), **self._parts(section, n)}
                for n, c in counts.items()
            ]
            for section, counts in self._counts.items()
        }
        return {**listed, "first_difference": self._first}

    def _found(self, section: str, name: str, count: int) -> dict[str, Any]:
        """Nothing of a layer whose comparison cannot fail."""
        is_told = section == "layers" and name in self.repeating and not count
        within = {"within": INEXACT} if name in self.inexact else {}
        return {} if is_told else {"equal": not count, "differing": count, **within}

    def _parts(self, section: str, name: str) -> dict[str, Any]:
        found = self.through.get(name) if section == "layers" else None
        return {"through": list(found)} if found else {}


def _same(found: Array, expected: Array, inexact: bool) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = found == expected
    if found.dtype.kind != "f":
        return same
    same |= np.isnan(found) & np.isnan(expected)
    finite = expected[np.isfinite(expected)].astype(np.float64)
    if inexact and finite.size:
        with np.errstate(invalid="ignore"):
            apart = np.abs(found.astype(np.float64) - expected.astype(np.float64))
        same |= apart <= INEXACT * float(np.ptp(np.append(finite, 0.0)))
    return same


def _difference(
    section: str, name: str, values: Array, expected: Array, same: Array, place: Place
) -> dict[str, Any]:
    index = tuple(int(along) for along in np.argwhere(~same)[0])
    sample, element = place(index)
    return {
        "in": section,
        "name": name,
        "sample": sample,
        "element": list(element),
        "found": values[index].item(),
        "expected": expected[index].item(),
    }


def at_sample(sample: int) -> Place:
    """Of tensors of one sample."""
    return lambda element: (sample, element)


def check_cycles(predicted: int, simulated: int) -> None:
    """Raises ModelbuildError where a run took other cycles than the compiler said."""
    if simulated != predicted:
        raise ModelbuildError(
            f"the simulator counts {simulated:,} cycles, the compiler predicted {predicted:,}",
            why="both count by docs/program-format.md: this is a bug of modelbuild, not of the model",
            advice="report it with the model; `verify: {hardware: none}` builds without it",
            exit_code=EXIT_FAILED,
        )
