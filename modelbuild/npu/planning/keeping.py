"""Which feature maps stay in SRAM between the groups that make and read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.grouping import Bundle
from modelbuild.npu.planning.halo import needs_all_rows, reach
from modelbuild.npu.planning.memory import align
from modelbuild.npu.planning.views import Shared, size_of


@dataclass(frozen=True)
class Life:
    """A memory of its own: aligned bytes, and the first and the last group that use it."""

    root: str
    size: int
    first: int
    last: int


def lives(model: FixedModel, shared: Shared, groups: Sequence[Bundle]) -> dict[str, Life]:
    """Every root that some group reads or writes from outside of itself; inputs of the model live from -1,
    outputs to the end."""
    first: dict[str, int] = {shared.view[name].root: -1 for name in model.inputs}
    last: dict[str, int] = dict(first)
    for index, group in enumerate(groups):
        for name in (*group.reads, *group.writes):
            if name in shared.view:
                root = shared.view[name].root
                first.setdefault(root, index)
                last[root] = index
    last.update((shared.view[name].root, len(groups)) for name in model.outputs)
    return {root: Life(root, align(size_of(model, root)), first[root], last[root]) for root in first}


def keepable(
    model: FixedModel, shared: Shared, groups: Sequence[Bundle], found: Mapping[str, Life]
) -> list[Life]:
    """Roots that may stay on the chip, in the order of their making: neither inputs nor outputs of the
    model, touched by banded groups only, and every byte of them is read."""
    border = {shared.view[name].root for name in (*model.inputs, *model.outputs)}
    touched = {
        shared.view[name].root
        for group in groups
        if not group.banded
        for name in (*group.reads, *group.writes)
        if name in shared.view
    }
    read = _bytes_read(model, shared, groups)
    kept = [
        life
        for root, life in found.items()
        if root not in border and root not in touched and _covers(read.get(root, []), size_of(model, root))
    ]
    return sorted(kept, key=lambda life: (life.first, life.root))


def in_order(found: Iterable[Life], used: Sequence[int], capacity: int, reach: int) -> dict[str, Life]:
    """Of `found`, in their order, each that fits into `capacity` bytes beside those before it, and is needed
    for at most `reach` groups more (0: for any). `used`: bytes that each group takes itself."""
    kept: dict[str, Life] = {}
    taken = list(used)
    for life in found:
        span = range(life.first, life.last + 1)
        near = not reach or life.last - life.first <= reach
        if near and all(taken[index] + life.size <= capacity for index in span):
            kept[life.root] = life
            for index in span:
                taken[index] += life.size
    return kept


def _bytes_read(
    model: FixedModel, shared: Shared, groups: Sequence[Bundle]
) -> dict[str, list[tuple[int, int]]]:
    """The stretches of each root that are read to the last byte."""
    found: dict[str, list[tuple[int, int]]] = {}
    for group in groups:
        for index in group.members if group.banded else ():
            operator = model.operators[index]
            for position, name in enumerate(operator.inputs):
                if name not in shared.view:
                    continue
                rows = form(model.tensors[operator.outputs[0]]).rows
                height = form(model.tensors[name]).rows
                if needs_all_rows(reach(model, operator, position), rows, height):
                    view = shared.view[name]
                    stretch = (view.offset, view.offset + size_of(model, name))
                    found.setdefault(view.root, []).append(stretch)
    return found


def _covers(stretches: list[tuple[int, int]], size: int) -> bool:
    end = 0
    for low, high in sorted(stretches):
        if low > end:
            return False
        end = max(end, high)
    return end >= size
