"""How far off times are that a fit has not seen, and those that it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.constants import CHIPS
from bench.fitting import Fit, Problem, Row, fit_all, fit_own, predicted

Ratios = Mapping[tuple[str, str], float]  # (network, chip) -> ours / the vendor's


def fits_without(problem: Problem) -> dict[str, Fit]:
    """By network: all constants fitted with it left out on all chips."""
    return {name: fit_all(problem.without(_of(problem, name))) for name in _networks(problem)}


def by_network(problem: Problem) -> Ratios:
    """Each network predicted by a fit that has seen it on no chip."""
    found: dict[tuple[str, str], float] = {}
    for name, fit in fits_without(problem).items():
        found |= ratios(problem, fit, _of(problem, name))
    return found


def by_row(problem: Problem, fit: Fit) -> Ratios:
    """Each row predicted by a chip's own constants fitted without it, the shared ones those of `fit`."""
    chips = {chip.name: chip for chip in problem.chips}
    found: dict[tuple[str, str], float] = {}
    for row in problem.rows:
        own = fit_own(problem.without([row]), chips[row.chip], fit.shared)
        found |= ratios(problem, own, [row])
    return found


def chosen_again(problems: Sequence[Problem]) -> Ratios:
    """Each network predicted by the problem that fits all others best: problems are of the same rows."""
    fits = [fits_without(problem) for problem in problems]
    found: dict[tuple[str, str], float] = {}
    for name in fits[0]:
        of_problems = [(problem, of_names[name]) for problem, of_names in zip(problems, fits, strict=True)]
        errors = [_error_of_others(problem, fit, name) for problem, fit in of_problems]
        problem, fit = of_problems[errors.index(min(errors))]
        found |= ratios(problem, fit, _of(problem, name))
    return found


def ratios(problem: Problem, fit: Fit, rows: Sequence[Row]) -> Ratios:
    """Ours / the vendor's."""
    return {(row.network, row.chip): predicted(problem, fit, row) / row.milliseconds for row in rows}


def means(found: Ratios) -> dict[str, float]:
    """Mean absolute error of each chip in percent."""
    of_chips = {chip: [value for (_, on), value in found.items() if on == chip] for chip in CHIPS}
    return {chip: _mean(values) for chip, values in of_chips.items() if values}


def _error_of_others(problem: Problem, fit: Fit, name: str) -> float:
    others = [row for row in problem.rows if row.network != name]
    return _mean(ratios(problem, fit, others).values())


def _mean(values: Iterable[float]) -> float:
    errors = [abs(value - 1) for value in values]
    return 100 * sum(errors) / len(errors)


def _networks(problem: Problem) -> list[str]:
    return sorted({row.network for row in problem.rows})


def _of(problem: Problem, name: str) -> list[Row]:
    return [row for row in problem.rows if row.network == name]
