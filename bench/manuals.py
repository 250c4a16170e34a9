"""Two editions of the vendor's manual beside ours, in its form: `python -m bench.manuals --zoo DIR`.

Model, size, frames a second, time of the NPU, and the types of nodes that the CPU runs. The older edition is
of v0.15.5 (`bench/data`), the newer one of the zoo's table.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.compare import say
from bench.counts import Constants
from bench.planned import counted
from bench.table import table
from bench.zoo import Network, loaded, networks
from modelbuild.chips.load import load_recipe
from modelbuild.npu.rates import rates

CHIPS = ("kl520", "kl720")  # those of the older manual
OLDER = Path(__file__).parent / "data" / "kneron_v0_15_5.csv"
HEAD = ("model", "size", "v0.15.5: FPS", "ms", "today's: FPS", "ms", "ours: FPS", "ms", "CPU nodes")


@dataclass(frozen=True)
class Ours:
    """A network on a chip, by the recipe's constants."""

    size: str
    milliseconds: float
    cpu_nodes: tuple[str, ...]


def main(words: Sequence[str] | None = None) -> int:
    """Evaluates and prints, a table a chip."""
    parser = argparse.ArgumentParser(prog="python -m bench.manuals", description=__doc__)
    parser.add_argument("--zoo", required=True, type=Path, metavar="DIR", help="zoo.csv and its networks")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="networks; all of them")
    options = parser.parse_args(words)
    older = older_times()
    listed = [one for one in networks(options.zoo) if not options.names or one.name in options.names]
    for chip in CHIPS:
        rows = []
        for network in listed:
            say(f"{network.name}, {chip}")
            rows.append(
                row(
                    network, older.get((network.name, chip)), network.published.get(chip), ours(network, chip)
                )
            )
        print("\n".join([f"{chip}:", "", *table(HEAD, rows), ""]))
    return 0


def older_times() -> dict[tuple[str, str], float]:
    """(network, chip) -> milliseconds by the manual of v0.15.5."""
    with OLDER.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {
        (row["name"], chip): float(row[f"{chip}_ms"]) for row in rows for chip in CHIPS if row[f"{chip}_ms"]
    }


def ours(network: Network, chip: str) -> Ours:
    """As `evaluate` has it: each instruction in whole cycles, on the plan of its default tiling."""
    graph, recipe = loaded(network.path), load_recipe(chip)
    counts, cpu = counted(graph, recipe)
    cycles = counts.cycles(Constants.of(rates(recipe.hardware)), whole=True)
    size = "x".join(str(extent) for extent in graph.shapes[graph.inputs[0]][1:])
    return Ours(size, cycles / recipe.hardware.clock_hz.value * 1e3, cpu)


def row(network: Network, older: float | None, newer: float | None, found: Ours) -> tuple[str, ...]:
    """The cells of a network."""
    cells = [network.name, found.size]
    for time in (older, newer, found.milliseconds):
        cells += ["", ""] if time is None else [f"{1000 / time:.4g}", f"{time:.4g}"]
    return *cells, ", ".join(found.cpu_nodes) or "N/A"


if __name__ == "__main__":
    sys.exit(main())
