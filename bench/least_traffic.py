"""What a network must move at the least, and why there is a plan that moves no more (docs/tiling.md)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.cutting import Limits, moved, traffic, weight_bytes
from modelbuild.npu.planning.deep import last_uses
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.grouping import Bundle
from modelbuild.npu.planning.keeping import lives
from modelbuild.npu.planning.merging import Merging
from modelbuild.npu.planning.runs import Runs
from modelbuild.npu.planning.streams import Streams
from modelbuild.npu.planning.views import share


def moved_alone(model: FixedModel, index: int, limits: Limits) -> int:
    """What an operator with a loop of its own moves: its inputs, of which slices read but a part."""
    operator = model.operators[index]
    inputs = operator.outputs if operator.kind == "slice" else operator.inputs
    names = [name for name in (*inputs, *operator.outputs) if name not in model.constants]
    return sum(moved(form(model.tensors[name]), limits.row_alignment) for name in names)


def bytes_of_group(model: FixedModel, group: Bundle, limits: Limits) -> int:
    """What a group by itself must move: the maps it reads and writes, its weights."""
    if group.banded:
        return traffic(Streams(model, group), (), limits).total
    (index,) = group.members
    return moved_alone(model, index, limits) if model.operators[index].unit == "npu" else 0


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
