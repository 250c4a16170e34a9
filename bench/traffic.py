"""Bytes that plans move, beside the least that must be moved: `python -m bench.traffic --zoo DIR`.

For each network and chip: what the default plan moves, beside what the network must (weights, inputs and
outputs) and what its groups must, each by itself with nothing kept; what the deep plan moves, beside what the
network must. Ends with 1 where the default moves more than `--default` times its groups' least, or the deep
plan more than `--deep` times the network's although SRAM allows less.

Behind the tables: in how many rows SRAM is known to allow it, and in how many of these the default exceeds
`--default` times the network's least, which it may: it keeps maps as the vendor's compiler is seen to. What a
certificate and the bound say is in docs/tiling.md.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.compare import say
from bench.table import table
from bench.zoo import loaded, outlined
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.load import load_recipe
from modelbuild.npu.planning.cutting import Limits, moved, traffic, weight_bytes
from modelbuild.npu.planning.deep import last_uses
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.grouping import Bundle, bundles
from modelbuild.npu.planning.keeping import lives
from modelbuild.npu.planning.merging import Merging
from modelbuild.npu.planning.plan import Load, LoadConstants, Plan, Store
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.planning.runs import Runs
from modelbuild.npu.planning.streams import Streams
from modelbuild.npu.planning.views import share
from modelbuild.npu.planning.weights import constant_size
from modelbuild.npu.rates import limits_of
from modelbuild.npu.rewriting import rewritten

CHIPS = ("kl520", "kl530", "kl630", "kl720", "kl730", "mlsoc", "modalix")
HEAD = ("network", "least, MB", "default", "of groups", "deep", "bound", "SRAM allows", "actions")


@dataclass(frozen=True)
class Measured:
    """Bytes; `allows` is a certificate, empty if there is none."""

    least: int
    of_groups: int
    default: int
    deep: int
    bound: int
    allows: str
    actions: tuple[int, int]

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
        )

    def fails(self, default: float, deep: float) -> bool:
        """Whether a ratio is above what is asked."""
        return self.default > default * self.of_groups or bool(self.allows and self.deep > deep * self.least)


def main(words: Sequence[str] | None = None) -> int:
    """Parses, plans, prints; 1 if a ratio is too large."""
    options = _options(words)
    paths = sorted(Path(options.zoo).glob("*.onnx"))
    chosen = [path for path in paths if not options.names or path.stem in options.names]
    found: list[Measured] = []
    lines = ["```text", *machine.describe(), "```", ""]
    graphs = {path: loaded(path) for path in chosen}
    for chip in options.chips:
        recipe = load_recipe(chip)
        limits = limits_of(recipe.hardware, options.sram_bytes)
        rows = []
        for path, graph in graphs.items():
            say(f"{path.stem}, {chip}")
            found.append(measured(rewritten(outlined(graph, recipe)[0]), limits))
            rows.append((path.stem, *found[-1].cells()))
        lines += [f"{chip}, {limits.sram_bytes:,} bytes of SRAM:", "", *table(HEAD, rows), ""]
    lines += _counted(found, options.default, options.deep)
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    return int(not chosen or any(each.fails(options.default, options.deep) for each in found))


def _counted(found: Sequence[Measured], default: float, deep: float) -> list[str]:
    """In how many rows what holds."""
    allowed = [each for each in found if each.allows]
    above = sum(each.deep > deep * each.least for each in allowed)
    all_above = sum(each.deep > deep * each.least for each in found)
    groups = sum(each.default > default * each.of_groups for each in found)
    network = sum(each.default > default * each.least for each in allowed)
    return [
        f"Of {len(found)} rows SRAM is known to allow the least in {len(allowed)}. Deep is above {deep} "
        f"times the least in {above} of these, and in {all_above} of all. The default is above {default} "
        f"times its groups' least in {groups} of all, and above {default} times the network's in {network} "
        "of those where SRAM allows it."
    ]


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.traffic", description=__doc__)
    parser.add_argument("--zoo", required=True, metavar="DIR", help="the folder of the .onnx files")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="files without their .onnx; all of them")
    parser.add_argument("--chips", nargs="+", default=CHIPS, metavar="CHIP")
    parser.add_argument("--sram-bytes", type=int, metavar="N", help="in place of the chip's own")
    parser.add_argument("--default", type=float, default=1.6, help="the largest ratio of default plans")
    parser.add_argument("--deep", type=float, default=1.25, help="the largest ratio of deep plans")
    parser.add_argument("--output", metavar="FILE", help="write the table there, too")
    return parser.parse_args(words)


def measured(model: FixedModel, limits: Limits) -> Measured:
    """Both plans of a rewritten model, and what is known of the best one."""
    default, deep = plan(model, limits), plan(model, limits, deep=True)
    shared = share(model)
    groups = bundles(model, shared)
    least = bytes_needed(model, groups, limits)
    return Measured(
        least=least,
        of_groups=sum(_of_group(model, group, limits) for group in groups),
        default=bytes_moved(model, default, limits),
        deep=bytes_moved(model, deep, limits),
        bound=least + unavoidable(model, groups, limits),
        allows=certificate(model, groups, limits),
        actions=(
            sum(len(group.actions) for group in default.groups),
            sum(len(group.actions) for group in deep.groups),
        ),
    )


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
            total += _alone(model, group.members[0], limits)
    return total


def _alone(model: FixedModel, index: int, limits: Limits) -> int:
    """What an operator with a loop of its own moves: its inputs, of which slices read but a part."""
    operator = model.operators[index]
    inputs = operator.outputs if operator.kind == "slice" else operator.inputs
    names = [name for name in (*inputs, *operator.outputs) if name not in model.constants]
    return sum(moved(form(model.tensors[name]), limits.row_alignment) for name in names)


def _of_group(model: FixedModel, group: Bundle, limits: Limits) -> int:
    """What a group by itself must move: the maps it reads and writes, its weights."""
    if group.banded:
        return traffic(Streams(model, group), (), limits).total
    (index,) = group.members
    return _alone(model, index, limits) if model.operators[index].unit == "npu" else 0


def bytes_needed(model: FixedModel, groups: Sequence[Bundle], limits: Limits) -> int:
    """What the network must move: weights, its inputs and outputs, and what the host makes or reads."""
    border = dict.fromkeys((*model.inputs, *model.outputs))
    used: set[str] = set()
    for group in groups:
        if _is_on_host(model, group):
            border.update(dict.fromkeys((*group.reads, *group.writes)))
        else:
            used.update((*group.reads, *group.writes))
    maps = [name for name in border if name in used and name not in model.constants]
    weights = sum(weight_bytes(Streams(model, group)) for group in groups if group.banded)
    return weights + sum(moved(form(model.tensors[name]), limits.row_alignment) for name in maps)


def unavoidable(model: FixedModel, groups: Sequence[Bundle], limits: Limits) -> int:
    """Bytes beyond that: maps that live on, and maps and weights that meet, as far as they exceed SRAM."""
    found = lives(model, share(model), groups)
    longest = max(
        (
            sum(life.size for life in found.values() if life.first <= index and life.last > index + 1 >= 0)
            for index in range(len(groups))
        ),
        default=0,
    )
    over = 0
    for group in groups:
        if group.banded:
            it = traffic(Streams(model, group), (), limits)
            if min(it.common, it.weights) > limits.sram_bytes:
                over += min(it.common, it.weights) - limits.sram_bytes
    return 2 * max(0, longest - limits.sram_bytes) + over


def certificate(model: FixedModel, groups: Sequence[Bundle], limits: Limits) -> str:
    """Why a plan that moves everything once exists; empty if none of the three reasons holds."""
    shared = share(model)
    if not all(group.banded or _is_on_host(model, group) for group in groups):
        return ""
    streams = [Streams(model, group) if group.banded else None for group in groups]
    border = {shared.view[name].root for name in (*model.inputs, *model.outputs)}
    for group in groups:  # what the host makes or reads is moved in any case
        if not group.banded:
            names = (*group.reads, *group.writes)
            border.update(shared.view[name].root for name in names if name in shared.view)
    live = [0] * len(groups)
    for life in lives(model, shared, groups).values():
        for index in range(max(0, life.first), min(life.last, len(groups) - 1) + 1):
            live[index] += 0 if life.root in border else life.size
    fits = [size + 2 * limits.tile_bytes <= limits.sram_bytes for size in live]
    if all(fits):
        return "maps"
    merging = Merging(model, shared, groups)
    runs = Runs(merging, streams, limits, last_uses(model, merging))
    for run in itertools.takewhile(lambda run: run.first == 0, runs):
        if run.constants + sum(run.rings.values()) <= limits.sram_bytes:
            if run.last + 1 == len(groups):
                return "rows"
            if all(fits[run.last :]):
                return f"rows to {run.last}, maps"
    return ""


def _is_on_host(model: FixedModel, group: Bundle) -> bool:
    return all(model.operators[index].unit != "npu" for index in group.members)


if __name__ == "__main__":
    sys.exit(main())
