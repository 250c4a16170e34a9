"""Fits the chips' constants to published times: `python -m bench.fit_chips --zoo DIR [--write] [--quick]`.

Prints first how far off a network is that was left out on all chips, with the shared constants fitted
without it; then a row left out; then the fit. Ends with 1 where the first is beyond LIMITS. The tables are
in docs/chips.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import constants
from bench.compare import say
from bench.constants import CHIPS, Chip
from bench.fitting import Fit, Problem, Row, fit_all, fit_own, predicted
from bench.planned import counted
from bench.table import table
from bench.zoo import loaded, networks
from modelbuild.chips.load import load_recipe

# mean absolute error, in percent, that a network left out may have
LIMITS = {"kl520": 20.0, "kl530": 20.0, "kl630": 20.0, "kl720": 30.0, "kl730": 20.0}
MOST_OWN = 4  # constants that may be fitted for one chip alone

Ratios = Mapping[tuple[str, str], float]  # (network, chip) -> ours / the vendor's


def main(words: Sequence[str] | None = None) -> int:
    """Counts, fits, prints; 1 if a network left out is too far off."""
    options = _options(words)
    problem = Problem([constants.chip(name) for name in CHIPS], rows(options.zoo), constants.family_macs())
    fit = fit_all(problem)
    left_out = by_network(problem)
    print("\n".join(shown("A network left out on all chips, shared constants fitted again", left_out)))
    if not options.quick:
        print("\n".join(shown("A row left out, shared constants held", by_row(problem, fit))))
    print("\n".join(shown("The fit", ratios(problem, fit, problem.rows))))
    print("\n".join(constants_shown(problem.chips, fit)))
    if options.write:
        for path in constants.write(fit.shared, fit.of_chips):
            say(f"wrote {path.name}")
    beyond = too_far(left_out)
    too_many = [chip.name for chip in problem.chips if len(chip.own) > MOST_OWN]
    for line in [*beyond, *(f"{name} has more than {MOST_OWN} constants of its own" for name in too_many)]:
        say(line)
    return int(bool(beyond or too_many))


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fit_chips", description=__doc__)
    parser.add_argument("--zoo", required=True, type=Path, metavar="DIR", help="zoo.csv and its networks")
    parser.add_argument("--write", action="store_true", help="write what is fitted into recipes/")
    parser.add_argument("--quick", action="store_true", help="leave no single row out")
    return parser.parse_args(words)


def rows(zoo: Path) -> list[Row]:
    """Every network on every chip that a time is published for, counted on the plan that `evaluate` makes."""
    found = []
    for network in networks(zoo):
        chips = [chip for chip in CHIPS if chip in network.published]
        graph = loaded(network.path) if chips else None
        for chip in chips:
            say(f"{network.name}, {chip}")
            assert graph is not None
            found.append(
                Row(network.name, chip, counted(graph, load_recipe(chip))[0], network.published[chip])
            )
    return found


def by_network(problem: Problem) -> Ratios:
    """Each network predicted by a fit that has seen it on no chip."""
    found: dict[tuple[str, str], float] = {}
    for name in sorted({row.network for row in problem.rows}):
        gone = [row for row in problem.rows if row.network == name]
        fit = fit_all(problem.without(gone))
        found |= ratios(problem, fit, gone)
    return found


def by_row(problem: Problem, fit: Fit) -> Ratios:
    """Each row predicted by a chip's own constants fitted without it, the shared ones those of `fit`."""
    chips = {chip.name: chip for chip in problem.chips}
    found: dict[tuple[str, str], float] = {}
    for row in problem.rows:
        own = fit_own(problem.without([row]), chips[row.chip], fit.shared)
        found |= ratios(problem, own, [row])
    return found


def ratios(problem: Problem, fit: Fit, rows: Sequence[Row]) -> Ratios:
    """Ours / the vendor's."""
    return {(row.network, row.chip): predicted(problem, fit, row) / row.milliseconds for row in rows}


def means(found: Ratios) -> dict[str, float]:
    """Mean absolute error of each chip in percent."""
    of_chips = {chip: [value for (_, on), value in found.items() if on == chip] for chip in CHIPS}
    return {chip: 100 * sum(abs(value - 1) for value in of) / len(of) for chip, of in of_chips.items() if of}


def too_far(found: Ratios) -> list[str]:
    """A line for each chip beyond its limit."""
    return [
        f"{chip}: {error:.1f} % with a network left out, more than {LIMITS[chip]:.0f} %"
        for chip, error in means(found).items()
        if error > LIMITS[chip]
    ]


def shown(title: str, found: Ratios) -> list[str]:
    """Ours / the vendor's, network by network, and the mean error."""
    names = list(dict.fromkeys(network for network, _ in found))
    cells = [
        (name, *(f"{found[name, chip]:.2f}" if (name, chip) in found else "" for chip in CHIPS))
        for name in sorted(names)
    ]
    errors = means(found)
    told = (f"**{errors[chip]:.1f}**" if chip in errors else "" for chip in CHIPS)
    last = ("**mean absolute error, %**", *told)
    return [f"{title} (ours / vendor's):", "", *table(("network", *CHIPS), [*cells, last]), ""]


def constants_shown(chips: Sequence[Chip], fit: Fit) -> list[str]:
    """The constants of each chip: `own` are fitted for it alone, `shared` for all, `known` the recipe's."""
    lines = []
    for name in constants.FACTS:
        values = [f"{fit.of_chips[chip.name][name]:.4g} {chip.how[name]}" for chip in chips]
        lines.append((name, *values))
    lines.append(("**fitted for it alone**", *(f"**{len(chip.own)}**" for chip in chips)))
    return ["Constants:", "", *table(("constant", *(chip.name for chip in chips)), lines), ""]


if __name__ == "__main__":
    sys.exit(main())
