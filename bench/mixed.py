"""What 16 bits cost and win, by mode: `python -m bench.mixed --models DIR --output tables.md`.

For each mode the SNR on evaluation samples, and the multiply-accumulate operations with a 16-bit operand.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import machine
from bench.compare import say
from bench.quantizers import declared
from bench.quantizers.prepared import Prepared, prepare
from bench.table import table
from bench.tools import ROOT
from modelbuild import importers
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.quantize.apply import apply
from modelbuild.quantize.mixed import quantize_mixed
from modelbuild.quantize.mixed_measure import OutputMeter
from modelbuild.quantize.mixed_search import Goal
from modelbuild.quantize.observe import observe
from modelbuild.quantize.record import Record
from modelbuild.quantize.sensitivity import sensitivity
from modelbuild.quantize.settings import Settings

NETWORKS = ("st_mobilenet_v2_128_05", "mobilenetv2")
GOALS = (30.0, 33.0, 36.0)
EVALUATED = 200
WHOLE = {"activations": "int16", "weights": "int16"}
MODES: dict[str, dict[str, Any]] = {
    "int8": {},
    "mix_light": {"mode": "mix_light"},
    "mix_balance": {"mode": "mix_balance"},
    "mixbw, flops_ratio 0.2": {"mode": "mixbw"},
}
HEAD = ("mode", "SNR dB", "mean SNR dB", "predicted dB", "int16 MACs", "share")


@dataclass(frozen=True)
class Case:
    """A network on a chip, its weights with one scale a channel or one in all."""

    given: Prepared
    chip: str
    per_channel: bool

    @property
    def title(self) -> str:
        """The table's heading."""
        weights = "a scale a channel" if self.per_channel else "one scale for all weights of a layer"
        return f"{self.given.name}, {self.chip}, {weights}"

    def samples(self, folder: Path) -> Iterator[dict[str, np.ndarray]]:
        """In order."""
        for path in sorted(folder.glob("*.npy")):
            yield {self.given.input_name: np.load(path)}

    def rows(self, goals: Sequence[float]) -> list[tuple[str, ...]]:
        """A mode each."""
        recipe = load_recipe(self.chip)
        graph, _ = normalise(importers.load(self.given.model, None, ()))
        graph, _ = run_passes(graph, list(recipe.passes))
        seen = observe(graph, list(self.samples(self.given.calibration)))

        def fixed(record: Record) -> Any:
            return apply(graph, {}, record, recipe)

        known = OutputMeter(graph, self.samples(self.given.calibration), fixed)
        new = OutputMeter(graph, self.samples(self.given.evaluation), fixed)
        usual = {} if self.per_channel else {"per_channel": False}
        modes: dict[str, tuple[Mapping[str, Any], Goal | None]] = {
            **{name: (settings, None) for name, settings in MODES.items()},
            **{f"auto, {goal:g} dB": ({"mode": "auto"}, Goal({"snr_db": goal}, known)) for goal in goals},
            "int16": (WHOLE, None),
        }
        rows: list[tuple[str, ...]] = []
        for name, (settings, goal) in modes.items():
            try:
                chosen = Settings.read({**usual, **settings})
                record = quantize_mixed(graph, seen, chosen, recipe.number_format, goal)
            except ModelbuildError as error:
                say(f"  {name}: {error}")
                rows.append((name, "out of reach", "", "", "", ""))
                continue
            rows.append((name, *_figures(graph, record, new)))
            say(f"  {', '.join(rows[-1])}")
        return rows


def _figures(graph: Graph, record: Record, meter: OutputMeter) -> tuple[str, ...]:
    """The worst output decides."""
    outputs = meter(record)["outputs"]
    pooled, mean = (min(entry[key] for entry in outputs) for key in ("snr_db", "snr_db_mean"))
    found = sensitivity(graph, record)
    share = 100 * found.macs_int16 / found.macs
    predicted = f"{found.predicted_snr_db:.1f}"
    return f"{pooled:.1f}", f"{mean:.1f}", predicted, f"{found.macs_int16 / 1e6:.1f} M", f"{share:.0f} %"


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.mixed", description=__doc__)
    parser.add_argument("--models", action="append", type=Path, metavar="DIR", help="where paths start")
    parser.add_argument("--only", nargs="+", metavar="NETWORK", default=NETWORKS)
    parser.add_argument("--chip", default="kl720")
    parser.add_argument("--goals", nargs="+", type=float, metavar="DB", default=GOALS)
    parser.add_argument("--samples", type=int, default=EVALUATED, help="evaluation samples, at most")
    parser.add_argument("--output", metavar="FILE", help="write the tables there, too")
    options = parser.parse_args(words)
    folders = [path.absolute() for path in options.models or (ROOT.parent / "shared/data", ROOT)]
    networks = declared.read(declared.DEFAULT).models
    lines = ["```text", *machine.describe(), "```"]
    with tempfile.TemporaryDirectory(prefix="bench-") as work:
        for name in options.only:
            given = prepare(name, networks[name], folders, Path(work), options.samples)
            for per_channel in (True, False):
                case = Case(given, options.chip, per_channel)
                say(case.title)
                lines += ["", f"### {case.title}", "", *table(HEAD, case.rows(options.goals))]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
