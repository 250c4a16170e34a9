"""Bytes that plans move, beside the least that must be moved: `python -m bench.traffic --zoo DIR`.

For each network and chip: what the default plan moves, beside what the network must (weights, inputs and
outputs) and what its groups must, each by itself with nothing kept; what the deep plan moves, beside what
the network must; and the time that `tiling: deep` is predicted to take beside the default's. Ends with 1
where the default moves more than `--default` times its groups' least, where the deep plan moves more than
`--deep` times the network's although SRAM allows less, or where `tiling: deep` takes longer.

Behind the tables: a row for each chip with its largest ratios, then in how many rows SRAM is known to allow
the least, and in how many of these the default exceeds `--default` times the network's, which it may: it
keeps maps as the vendor's compiler is seen to. `--summary` prints nothing else. What a certificate and the
bound say is in docs/tiling.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.compare import say
from bench.least_traffic import (
    bytes_needed,
    bytes_of_group,
    certificate,
    moved_alone,
    unavoidable,
)
from bench.table import table
from bench.zoo import loaded, outlined
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.npu.choices import DEEP, DEFAULT
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.planning.cutting import Limits, moved
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.grouping import bundles
from modelbuild.npu.planning.plan import Load, LoadConstants, Plan, Store
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.planning.views import share
from modelbuild.npu.planning.weights import constant_size
from modelbuild.npu.rates import limits_of
from modelbuild.npu.rewriting import rewritten

CHIPS = ("kl520", "kl530", "kl630", "kl720", "kl730", "mlsoc", "modalix")
HEAD = ("network", "least, MB", "default", "of groups", "deep", "bound", "SRAM allows", "actions", "time")
SUMMARY = (
    "chip",
    "SRAM, KB",
    "networks",
    "SRAM allows the least",
    "deep there",
    "deep",
    "default there",
    "default of groups",
    "time",
)


@dataclass(frozen=True)
class Measured:
    """Bytes; `allows` is a certificate, empty if there is none. `cycles` are those of `tiling: default` and
    of `tiling: deep`, which has the better one of both plans."""

    least: int
    of_groups: int
    default: int
    deep: int
    bound: int
    allows: str
    actions: tuple[int, int]
    cycles: tuple[int, int]

    def cells(self) -> tuple[str, ...]:
        """Behind the network's name."""
        return (
            f"{self.least / 1e6:.2f}",
            f"{self.default / self.least:.2f}",
            f"{self.default / self.of_groups:.2f}",
            f"{self.deep / self.least:.2f}",
            f"{self.bound / self.least:.2f}",
            self.allows or "not known",
            f"{self.actions[0]:,} / {self.actions[1]:,}",
            f"{self.time:.2f}",
        )

    @property
    def time(self) -> float:
        """Of `tiling: deep`, as predicted, to the default's."""
        return self.cycles[1] / self.cycles[0]

    def fails(self, default: float, deep: float) -> bool:
        """Whether a ratio is above what is asked."""
        much = self.default > default * self.of_groups or bool(self.allows and self.deep > deep * self.least)
        return much or self.cycles[1] > self.cycles[0]


def main(words: Sequence[str] | None = None) -> int:
    """Parses, plans, prints; 1 if a ratio is too large."""
    options = _options(words)
    paths = sorted(Path(options.zoo).glob("*.onnx"))
    chosen = [path for path in paths if not options.names or path.stem in options.names]
    found: dict[str, dict[str, Measured]] = {chip: {} for chip in options.chips}
    lines = ["```text", *machine.describe(), "```", ""]
    graphs = {path: loaded(path) for path in chosen}
    summary = []
    for chip, of_chip in found.items():
        recipe = load_recipe(chip)
        sram = options.sram_bytes or int(recipe.hardware.sram_bytes.value)
        for path, graph in graphs.items():
            say(f"{path.stem}, {chip}")
            of_chip[path.stem] = measured(outlined(graph, recipe)[0], recipe, sram)
        if not options.summary:
            rows = [(name, *each.cells()) for name, each in of_chip.items()]
            lines += [f"{chip}, {sram:,} bytes of SRAM:", "", *table(HEAD, rows), ""]
        summary.append((chip, f"{sram / 1024:,.5g}", *_summary(list(of_chip.values()))))
    every = [each for of_chip in found.values() for each in of_chip.values()]
    lines += [*table(SUMMARY, summary), "", *_counted(every, options.default, options.deep)]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    return int(not chosen or any(each.fails(options.default, options.deep) for each in every))


def _summary(found: Sequence[Measured]) -> tuple[str, ...]:
    """How many networks, in how many SRAM allows the least, the largest ratios, the range of times."""
    allowed = [each for each in found if each.allows]
    times = sorted(each.time for each in found)
    return (
        f"{len(found)}",
        f"{len(allowed)}",
        _most(each.deep / each.least for each in allowed),
        _most(each.deep / each.least for each in found),
        _most(each.default / each.least for each in allowed),
        _most(each.default / each.of_groups for each in found),
        f"{times[0]:.2f} to {times[-1]:.2f}" if times else "",
    )


def _most(ratios: Iterable[float]) -> str:
    return f"{max(ratios, default=0.0):.2f}"


def _counted(found: Sequence[Measured], default: float, deep: float) -> list[str]:
    """In how many rows what holds."""
    allowed = [each for each in found if each.allows]
    above = sum(each.deep > deep * each.least for each in allowed)
    all_above = sum(each.deep > deep * each.least for each in found)
    groups = sum(each.default > default * each.of_groups for each in found)
    network = sum(each.default > default * each.least for each in allowed)
    longer = sum(each.cycles[1] > each.cycles[0] for each in found)
    shorter = sum(each.cycles[1] < each.cycles[0] for each in found)
    return [
        f"Of {len(found)} rows SRAM is known to allow the least in {len(allowed)}. Deep is above {deep} "
        f"times the least in {above} of these, and in {all_above} of all. The default is above {default} "
        f"times its groups' least in {groups} of all, and above {default} times the network's in {network} "
        f"of those where SRAM allows it. `tiling: deep` is predicted to take longer in {longer} of all, and "
        f"less time in {shorter}."
    ]


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.traffic", description=__doc__)
    parser.add_argument("--zoo", required=True, metavar="DIR", help="the folder of the .onnx files")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="files without their .onnx; all of them")
    parser.add_argument("--chips", nargs="+", default=CHIPS, metavar="CHIP")
    parser.add_argument("--summary", action="store_true", help="a row for each chip, and no other table")
    parser.add_argument("--sram-bytes", type=int, metavar="N", help="in place of the chip's own")
    parser.add_argument("--default", type=float, default=1.6, help="the largest ratio of default plans")
    parser.add_argument("--deep", type=float, default=1.25, help="the largest ratio of deep plans")
    parser.add_argument("--output", metavar="FILE", help="write the table there, too")
    return parser.parse_args(words)


def measured(outline: FixedModel, recipe: Recipe, sram_bytes: int) -> Measured:
    """Both plans of a model without numbers, and what is known of the best one."""
    limits, model = limits_of(recipe.hardware, sram_bytes), rewritten(outline)
    default, deep = plan(model, limits), plan(model, limits, deep=True)
    groups = bundles(model, share(model))
    least = bytes_needed(model, groups, limits)
    return Measured(
        least=least,
        of_groups=sum(bytes_of_group(model, group, limits) for group in groups),
        default=bytes_moved(model, default, limits),
        deep=bytes_moved(model, deep, limits),
        bound=least + unavoidable(model, groups, limits),
        allows=certificate(model, groups, limits),
        actions=(_actions(default), _actions(deep)),
        cycles=(_cycles(outline, recipe, sram_bytes, DEFAULT), _cycles(outline, recipe, sram_bytes, DEEP)),
    )


def _actions(made: Plan) -> int:
    return sum(len(group.actions) for group in made.groups)


def _cycles(outline: FixedModel, recipe: Recipe, sram_bytes: int, tiling: str) -> int:
    """As `evaluate` predicts them."""
    options = {"sram_bytes": sram_bytes, "tiling": tiling}
    return compile_model(outline, recipe, options, bytes_wanted=False).cycles


def bytes_moved(model: FixedModel, made: Plan, limits: Limits) -> int:
    """Bytes that a plan moves; an operator with a loop of its own moves its inputs and its output once."""
    total = 0
    for group in made.groups:
        for action in group.actions:
            if isinstance(action, Load | Store):
                region = action.region
                seen = form(model.tensors[region.tensor])
                total += (
                    moved(seen, limits.row_alignment)
                    * region.planes
                    * region.rows
                    // seen.planes
                    // seen.rows
                )
            elif isinstance(action, LoadConstants):
                total += constant_size(model, model.operators[action.operator], action.region)
        if group.workspace is not None:
            total += moved_alone(model, group.members[0], limits)
    return total


if __name__ == "__main__":
    sys.exit(main())
