"""Fits the chips' constants to published times: `python -m bench.fit_chips --zoo DIR`.

Prints first how far off a network is that was left out on all chips, with the shared constants fitted
without it; then a row left out; then the fit; then the constants, and the facts that were chosen by trying.
`--sensitivity` changes these one by one; `--write` writes what is fitted. Ends with 1 where the first table
is beyond LIMITS, or a chip has more than MOST_OWN constants of its own: fitted for it alone, or that and
tried for it. The tables are in docs/chips.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import constants
from bench.choices import CHOICES, MORE, Published, problem, published
from bench.compare import say
from bench.constants import CHIPS, Chip, Tried
from bench.fitting import Fit, fit_all
from bench.left_out import Ratios, by_network, by_row, chosen_again, means, ratios
from bench.table import table

# mean absolute error, in percent, that a network left out may have
LIMITS = {"kl520": 20.0, "kl530": 20.0, "kl630": 20.0, "kl720": 30.0, "kl730": 20.0}
MOST_OWN = 4  # constants that a chip may have of its own, with what was tried and is not shared by all


def main(words: Sequence[str] | None = None) -> int:
    """Counts, fits, prints; 1 if a network left out is too far off, or too much is a chip's own."""
    options = _options(words)
    given = published(options.zoo)
    made = problem(given)
    fit = fit_all(made)
    left_out = by_network(made)
    print("\n".join(shown("A network left out on all chips, shared constants fitted again", left_out)))
    if not options.quick:
        print("\n".join(shown("A row left out, shared constants held", by_row(made, fit))))
    print("\n".join(shown("The fit", ratios(made, fit, made.rows))))
    tried = constants.tried()
    print("\n".join([*constants_shown(made.chips, fit), *tried_shown(made.chips, tried)]))
    if options.sensitivity:
        print("\n".join(sensitivity_shown(given)))
    if options.write:
        for path in constants.write(fit.shared, fit.of_chips):
            say(f"wrote {path.name}")
    beyond = [*too_far(left_out), *too_many(made.chips, tried)]
    for line in beyond:
        say(line)
    return int(bool(beyond))


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fit_chips", description=__doc__)
    parser.add_argument("--zoo", required=True, type=Path, metavar="DIR", help="zoo.csv and its networks")
    parser.add_argument("--write", action="store_true", help="write what is fitted into recipes/")
    parser.add_argument("--sensitivity", action="store_true", help="change what was chosen by trying")
    parser.add_argument("--quick", action="store_true", help="leave no single row out")
    return parser.parse_args(words)


def too_far(found: Ratios) -> list[str]:
    """A line for each chip beyond its limit."""
    return [
        f"{chip}: {error:.1f} % with a network left out, more than {LIMITS[chip]:.0f} %"
        for chip, error in means(found).items()
        if error > LIMITS[chip]
    ]


def too_many(chips: Sequence[Chip], tried: Sequence[Tried]) -> list[str]:
    """A line for each chip that has more than MOST_OWN constants of its own, by either count."""
    counts = {
        "fitted for it alone": {chip.name: len(chip.own) for chip in chips},
        "of its own if what was tried counts": with_tried(chips, tried),
    }
    return [
        f"{chip} has {count} constants {which}, more than {MOST_OWN}"
        for which, of_chips in counts.items()
        for chip, count in of_chips.items()
        if count > MOST_OWN
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


def tried_shown(chips: Sequence[Chip], tried: Sequence[Tried]) -> list[str]:
    """Facts that were chosen by trying, and how many constants a chip has if they count, too: not those that
    all five share, and with and without those that are 1, by which nothing is rounded."""
    lines = [
        (it.fact, *(f"{it.values[chip.name]:,.12g} {_how(it, chip.name)}" for chip in chips)) for it in tried
    ]
    few, every = (with_tried(chips, tried, neutral) for neutral in (False, True))
    lines.append(("**fitted, or tried and not shared by all**", *(f"**{count}**" for count in few.values())))
    lines.append(("those of 1 too, which round nothing", *(f"{count}" for count in every.values())))
    return ["Chosen by trying:", "", *table(("fact", *(chip.name for chip in chips)), lines), ""]


def with_tried(chips: Sequence[Chip], tried: Sequence[Tried], neutral: bool = False) -> dict[str, int]:
    """By chip: constants that are fitted for it alone, and facts that were tried and not shared by all."""
    return {
        chip.name: len(chip.own)
        + sum(
            chip.name in it.chips and not it.is_shared and (neutral or not it.is_neutral(chip.name))
            for it in tried
        )
        for chip in chips
    }


def _how(it: Tried, chip: str) -> str:
    return "known" if chip not in it.chips else "shared" if it.is_shared else "tried"


def sensitivity_shown(given: Sequence[Published]) -> list[str]:
    """Mean absolute errors with a network left out, each choice changed alone; then chosen again."""
    problems = []
    for choice in CHOICES:
        say(choice.name)
        problems.append(problem(given, choice))
    lines = [(it.name, *_errors(by_network(made))) for it, made in zip(CHOICES, problems, strict=True)]
    lines.append(("one of all these, chosen again without the network", *_errors(chosen_again(problems))))
    lines += [(it.name, *_errors(by_network(problem(given, it)))) for it in MORE]
    return ["A network left out, mean absolute error in %:", "", *table(("", *CHIPS), lines), ""]


def _errors(found: Ratios) -> list[str]:
    errors = means(found)
    return [f"{errors[chip]:.1f}" if chip in errors else "" for chip in CHIPS]


if __name__ == "__main__":
    sys.exit(main())
