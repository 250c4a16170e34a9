"""Memory of the static plan beside the least possible: `python -m bench.memory_plan --models DIR`.

Prints the table of docs/benchmarks.md: for each model that compiles, on each chip, bytes of the working
region of DRAM, which lifetimes decide, if no map stays on the chip; and beside it as it is
compiled, with those that do. Ends with 1 where ours exceeds the lower bound by more than `--most` allows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import machine
from bench.compare import say
from bench.models import fixed_model
from bench.orders import best_order
from bench.table import table
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.planning.allocate import Lifetime, allocate, lower_bound
from modelbuild.npu.planning.cutting import NOTHING, Limits
from modelbuild.npu.planning.memory import EFFORT, FeatureMaps, Placement
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.rates import limits_of
from modelbuild.npu.rewriting import rewritten

CHIPS = ("kl520", "kl720", "kl730", "modalix")
HEAD = (
    "model",
    "buffers",
    "bound",
    "ours",
    "ratio",
    "first fit",
    "ratio",
    "best order",
    "ratio",
    "whole",
    "shared",
    "planned",
    "ratio",
)


@dataclass(frozen=True)
class Measured:
    """Bytes of the working region, in the model's order and in the best found; then with inputs and outputs:
    `whole` with each in a place of its own, `shared` if lifetimes decided on them, too. `planned` is the
    working region without the maps that stay on the chip, as it is compiled."""

    buffers: int
    bound: int
    ours: int
    first_fit: int
    best_order: int
    whole_bound: int
    whole: int
    shared: int
    planned: int
    planned_bound: int

    @property
    def ratio(self) -> float:
        """The worse of ours and the compiled plan's to its bound; 1 where nothing is needed."""
        return max(_ratio(self.ours, self.bound), _ratio(self.planned, self.planned_bound))

    def cells(self) -> tuple[str, ...]:
        """Behind the model's name."""
        pairs = ((found, _ratio(found, self.bound)) for found in (self.ours, self.first_fit, self.best_order))
        told = [cell for found, ratio in pairs for cell in (f"{found:,}", f"{ratio:.3f}")]
        told += [f"{_ratio(found, self.whole_bound):.3f}" for found in (self.whole, self.shared)]
        planned = f"{self.planned:,}", f"{_ratio(self.planned, self.planned_bound):.3f}"
        return f"{self.buffers}", f"{self.bound:,}", *told, *planned


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints; 1 if a plan is larger than allowed."""
    options = _options(words)
    found: dict[tuple[str, Measured], list[str]] = {}
    refused: dict[tuple[str, str], list[str]] = {}
    for path in sorted(Path(options.models).glob("*.onnx")):
        if options.names and path.stem not in options.names:
            continue
        for chip in options.chips:
            say(f"{path.stem}, {chip}")
            try:
                recipe = load_recipe(chip)
                result = measured(compiled(path, recipe), limits_of(recipe.hardware))
            except ModelbuildError as error:
                refused.setdefault((path.stem, error.problems[0].what), []).append(chip)
                continue
            found.setdefault((path.stem, result), []).append(chip)
    rows = [(f"{name}, {_chips(chips, options.chips)}", *it.cells()) for (name, it), chips in found.items()]
    lines = ["```text", *machine.describe(), "```", "", *table(HEAD, rows), ""]
    lines += [f"{name} does not compile for {', '.join(on)}: {why}" for (name, why), on in refused.items()]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    return int(not found or any(result.ratio > options.most for _, result in found))


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.memory_plan", description=__doc__)
    parser.add_argument("--models", required=True, metavar="DIR", help="the folder of the .onnx files")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="files without their .onnx; all of them")
    parser.add_argument("--chips", nargs="+", default=CHIPS, metavar="CHIP")
    parser.add_argument("--most", type=float, default=1.02, help="the largest ratio to the bound allowed")
    parser.add_argument("--output", metavar="FILE", help="write the table there, too")
    return parser.parse_args(words)


def _chips(chips: Sequence[str], of: Sequence[str]) -> str:
    return "all" if list(chips) == list(of) else ", ".join(chips)


def compiled(path: Path, recipe: Recipe) -> FixedModel:
    """The fixed model as it is planned. Raises where it does not compile."""
    model = fixed_model(path, recipe)
    compile_model(model, recipe, {})
    return rewritten(model)


def measured(model: FixedModel, limits: Limits) -> Measured:
    """The default plan of a rewritten model in its own order, beside the others."""
    spilled = replace(limits, keeps_for_groups=NOTHING)
    maps, planned = _maps(model, spilled), _maps(model, limits)
    working = _lifetimes(maps.placements, "working")
    every = _lifetimes(maps.placements, "input", "output", "working")
    shared = zip(allocate(every, EFFORT), every, strict=True)
    return Measured(
        buffers=len(working),
        bound=lower_bound(working),
        ours=maps.working,
        first_fit=first_fit(working),
        best_order=min(maps.working, _maps(best_order(model), spilled).working),
        whole_bound=lower_bound(every),
        whole=maps.size,
        shared=max((offset + item.size for offset, item in shared), default=0),
        planned=planned.working,
        planned_bound=lower_bound(_lifetimes(planned.placements, "working")),
    )


def _maps(model: FixedModel, limits: Limits) -> FeatureMaps:
    found = plan(model, limits).maps
    assert found is not None
    return found


def _lifetimes(placements: Sequence[Placement], *regions: str) -> list[Lifetime]:
    return [Lifetime(it.size, it.first, it.last) for it in placements if it.region in regions]


def first_fit(buffers: Sequence[Lifetime]) -> int:
    """Bytes where each buffer, in the order of first use, goes to the lowest place that is free then."""
    placed: list[tuple[int, Lifetime]] = []
    for item in sorted(buffers, key=lambda it: it.first):
        offset = 0
        for low, other in sorted(placed, key=lambda pair: pair[0]):
            if other.last >= item.first and low < offset + item.size:
                offset = max(offset, low + other.size)
        placed.append((offset, item))
    return max((offset + item.size for offset, item in placed), default=0)


def _ratio(value: int, to: int) -> float:
    return value / to if to else 1.0


if __name__ == "__main__":
    sys.exit(main())
