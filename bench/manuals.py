"""The vendors' published figures beside ours: `python -m bench.manuals --zoo DIR`.

Kneron's two editions in the form of its manual: model, size, frames a second, time of the NPU, and the types
of nodes that the CPU runs. The older edition is of v0.15.5 (`bench/data`), the newer one of the zoo's table.
Then the cycles that SiMa's simulator has published. Nothing is judged here; `bench.fit_chips` does that.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.compare import say
from bench.table import table
from bench.zoo import Network, loaded, networks, outlined
from modelbuild.chips.load import load_recipe
from modelbuild.npu.compiler import CompiledModel, compile_model

CHIPS = ("kl520", "kl720")  # those of the older manual
OLDER = Path(__file__).parent / "data" / "kneron_v0_15_5.csv"
HEAD = ("model", "size", "v0.15.5: FPS", "ms", "today's: FPS", "ms", "ours: FPS", "ms", "CPU nodes")
# (network, chip) -> cycles in SiMa's simulator, and those of them without stalls
SIMA = {("resnet50_v1.5", "modalix"): (678_432, 468_832)}
SIMA_HEAD = ("model", "chip", "vendor's cycles", "without stalls", "ours", "compute and overhead")


@dataclass(frozen=True)
class Ours:
    """A network on a chip, as `evaluate` compiles it."""

    size: str
    milliseconds: float
    cpu_nodes: tuple[str, ...]


def main(words: Sequence[str] | None = None) -> int:
    """Compiles and prints, a table a chip."""
    options = _options(words)
    older = older_times()
    listed = [one for one in networks(options.zoo) if not options.names or one.name in options.names]
    for chip in CHIPS:
        rows = []
        for network in listed:
            say(f"{network.name}, {chip}")
            times = (older.get((network.name, chip)), network.published.get(chip))
            rows.append(row(network.name, times, ours(network, chip)))
        print("\n".join([f"{chip}:", "", *table(HEAD, rows), ""]))
    anchors = [sima_row(network, chip) for network in listed for name, chip in SIMA if name == network.name]
    if anchors:
        print("\n".join(["SiMa:", "", *table(SIMA_HEAD, anchors), ""]))
    return 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.manuals", description=__doc__)
    parser.add_argument("--zoo", required=True, type=Path, metavar="DIR", help="zoo.csv and its networks")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="networks; all of them")
    return parser.parse_args(words)


def older_times() -> dict[tuple[str, str], float]:
    """(network, chip) -> milliseconds by the manual of v0.15.5."""
    with OLDER.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    times = {(row["name"], chip): row[f"{chip}_ms"] for row in rows for chip in CHIPS}
    return {key: float(time) for key, time in times.items() if time}


def compiled(network: Network, chip: str) -> tuple[CompiledModel, str, tuple[str, ...]]:
    """The default tiling without a byte of weights; the input's size; the types of the CPU's nodes."""
    graph, recipe = loaded(network.path), load_recipe(chip)
    model, cpu = outlined(graph, recipe)
    size = "x".join(str(extent) for extent in graph.shapes[graph.inputs[0]][1:])
    return compile_model(model, recipe, {}, bytes_wanted=False), size, cpu


def ours(network: Network, chip: str) -> Ours:
    """By the recipe's constants."""
    found, size, cpu = compiled(network, chip)
    return Ours(size, found.cycles / load_recipe(chip).hardware.clock_hz.value * 1e3, cpu)


def row(name: str, published: Sequence[float | None], found: Ours) -> tuple[str, ...]:
    """The cells of a network; `published` are the editions' milliseconds."""
    cells = [name, found.size]
    for time in (*published, found.milliseconds):
        cells += ["", ""] if time is None else [f"{1000 / time:.4g}", f"{time:.4g}"]
    return *cells, ", ".join(found.cpu_nodes) or "N/A"


def sima_row(network: Network, chip: str) -> tuple[str, ...]:
    """The cells of a network on a chip of SiMa's."""
    say(f"{network.name}, {chip}")
    found, _, _ = compiled(network, chip)
    busy = sum(layer.compute_cycles + layer.overhead_cycles for layer in found.layers)
    return network.name, chip, *(f"{count:,}" for count in (*SIMA[network.name, chip], found.cycles, busy))


if __name__ == "__main__":
    sys.exit(main())
