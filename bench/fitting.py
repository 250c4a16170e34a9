"""The fit of chips' constants to published times: damped Gauss-Newton on the logarithms of ratios.

All chips are fitted together, because they share constants. A chip's own constants are drawn towards the
shared ones, and those towards `CENTRES`; large errors count with their size, not their square (soft L1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.constants import CENTRES, Chip, Values
from bench.counts import Counts

RIDGE = 0.15  # pull of a chip's own constants towards the shared ones, on the logarithm
CENTRE_RIDGE = 0.3  # of the shared ones towards their centres
SOFT = 0.3  # errors above this count less than squared
_ROUNDS, _STEP, _CLOSE = 200, 1e-6, 1e-12

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A network on a chip: what it asks for, and its published time."""

    network: str
    chip: str
    counts: Counts
    milliseconds: float


@dataclass(frozen=True)
class Fit:
    """Constants: those that the chips share, and those of each chip, the shared ones among them."""

    shared: Values
    of_chips: Mapping[str, Values]


@dataclass(frozen=True)
class Problem:
    """The chips, their rows, and where a chip's own `macs` is drawn to."""

    chips: Sequence[Chip]
    rows: Sequence[Row]
    macs: float

    def without(self, rows: Collection[Row]) -> Problem:
        """The same with fewer rows."""
        left = [row for row in self.rows if not any(row is other for other in rows)]
        return Problem(self.chips, left, self.macs)


def predicted(problem: Problem, fit: Fit, row: Row) -> float:
    """Milliseconds."""
    chip = next(chip for chip in problem.chips if chip.name == row.chip)
    return row.counts.cycles(chip.per_cycle(fit.of_chips[chip.name])) / chip.clock_hz * 1e3


def fit_all(problem: Problem) -> Fit:
    """Shared and own constants together."""
    places = [(chip.name, constant) for chip in problem.chips for constant in chip.own]
    shared = list(CENTRES)
    start = np.array([math.log(CENTRES[name]) for name in shared] + [0.0] * len(places))

    def fit(x: Floats) -> Fit:
        common = {name: math.exp(value) for name, value in zip(shared, x, strict=False)}
        own = dict(zip(places, x[len(shared) :], strict=True))
        return Fit(common, {chip.name: _values(problem, chip, common, own) for chip in problem.chips})

    def residuals(x: Floats) -> Floats:
        found = fit(x)
        errors = [math.log(predicted(problem, found, row) / row.milliseconds) for row in problem.rows]
        pulls = [*(CENTRE_RIDGE * (x - start)[: len(shared)]), *(RIDGE * x[len(shared) :])]
        return np.array(errors + pulls)

    return fit(least_soft(residuals, start))


def fit_own(problem: Problem, chip: Chip, shared: Values) -> Fit:
    """A chip's own constants, the shared ones held."""

    def fit(x: Floats) -> Fit:
        own = {(chip.name, constant): value for constant, value in zip(chip.own, x, strict=True)}
        return Fit(shared, {chip.name: _values(problem, chip, shared, own)})

    rows = [row for row in problem.rows if row.chip == chip.name]

    def residuals(x: Floats) -> Floats:
        found = fit(x)
        errors = [math.log(predicted(problem, found, row) / row.milliseconds) for row in rows]
        return np.array([*errors, *(RIDGE * x)])

    return fit(least_soft(residuals, np.zeros(len(chip.own))))


def _values(
    problem: Problem, chip: Chip, shared: Values, own: Mapping[tuple[str, str], float]
) -> dict[str, float]:
    """The constants of a chip: its own are `own` on the logarithm above what they are drawn to."""
    drawn_to = {**shared, "macs": problem.macs}
    values = {
        name: value if how == "known" else drawn_to[name]
        for (name, value), how in zip(chip.values.items(), chip.how.values(), strict=True)
    }
    return values | {name: drawn_to[name] * math.exp(own[chip.name, name]) for name in chip.own}


def least_soft(residuals: Callable[[Floats], Floats], start: Floats) -> Floats:
    """Where Σ SOFT² (√(1 + (r / SOFT)²) − 1) is least, from `start` on: no random choice in it."""
    x, damping = start, 1e-3
    found = residuals(x)
    cost = _cost(found)
    for _ in range(_ROUNDS):
        if not len(x):
            break
        slopes = _slopes(residuals, x)
        weight = 1 / np.sqrt(1 + (found / SOFT) ** 2)
        normal = slopes.T @ (slopes * weight[:, None])
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -slopes.T @ (weight * found))
        tried = residuals(x + step)
        if _cost(tried) > cost:
            damping *= 4
            if damping > 1e12:
                break
            continue
        gained, cost = cost - _cost(tried), _cost(tried)
        x, found, damping = x + step, tried, damping / 3
        if gained <= _CLOSE * cost:
            break
    return x


def _cost(found: Floats) -> float:
    return float((SOFT**2 * (np.sqrt(1 + (found / SOFT) ** 2) - 1)).sum())


def _slopes(residuals: Callable[[Floats], Floats], x: Floats) -> Floats:
    columns = []
    for index in range(len(x)):
        moved = np.zeros(len(x))
        moved[index] = _STEP
        columns.append((residuals(x + moved) - residuals(x - moved)) / (2 * _STEP))
    return np.stack(columns, axis=1)
