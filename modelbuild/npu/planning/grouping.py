"""Which operators are executed together: a head and the cell-by-cell operators and pools behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.npu.planning.forms import form, images
from modelbuild.npu.planning.halo import (
    BANDED,
    CELLWISE,
    POOLS,
    WEIGHTED,
    needs_all_rows,
    reach,
    uniform_planes,
)
from modelbuild.npu.planning.views import Shared, size_of

TAILS = CELLWISE | POOLS


@dataclass(frozen=True)
class Bundle:
    """Operators that are executed together, in order.

    `reads` are tensors made before (constants among them), `writes` those that others need. A `banded` one is
    run band by band, in `blocks` blocks of planes one after the other; another is a single operator that
    loops by itself. `joins` are concats in between whose parts are made in place: they need no code, but what
    reads them waits for all parts.
    """

    members: tuple[int, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    banded: bool
    blocks: int
    joins: tuple[int, ...] = ()


def bundles(model: FixedModel, shared: Shared, fuse: bool = True) -> tuple[Bundle, ...]:
    """Every operator that needs code, in the order of the first members."""
    grouping = Grouping(model, shared)
    heads = grouping.fused() if fuse else {index: index for index in grouping.active}
    members: dict[int, list[int]] = {}
    for index in grouping.active:
        members.setdefault(heads[index], []).append(index)
    return tuple(grouping.bundle(found) for _, found in sorted(members.items()))


class Grouping:
    """Who makes and who reads each tensor of a model."""

    def __init__(self, model: FixedModel, shared: Shared) -> None:
        self.model, self.shared = model, shared
        self.active = [index for index in range(len(model.operators)) if index not in shared.free]
        self.maker = {name: i for i in self.active for name in model.operators[i].outputs}
        self.readers: dict[str, list[int]] = {}
        for index in self.active:
            for name in dict.fromkeys(model.operators[index].inputs):
                self.readers.setdefault(name, []).append(index)
        self._sharers: dict[str, int] = {}
        for view in shared.view.values():
            self._sharers[view.root] = self._sharers.get(view.root, 0) + 1
        self._parts: dict[str, list[tuple[int, int, int]]] = {root: [] for root in self._sharers}
        for name, index in self.maker.items():
            view = shared.view[name]
            self._parts[view.root].append((view.offset, view.offset + size_of(model, name), index))

    def bundle(self, members: Sequence[int]) -> Bundle:
        """The bundle of these operators."""
        operators = [self.model.operators[index] for index in members]
        inside = {name for operator in operators for name in operator.outputs}
        reads = dict.fromkeys(n for operator in operators for n in operator.inputs if n not in inside)
        writes = tuple(
            name
            for operator in operators
            for name in operator.outputs
            if not self.is_private(name, set(members))
        )
        banded = all(self.is_banded(index) for index in members)
        return Bundle(tuple(members), tuple(reads), writes, banded, self.blocks(members))

    def is_private(self, name: str, members: set[int]) -> bool:
        """Whether nobody but these operators needs the tensor."""
        return (
            name not in self.model.outputs
            and self.shared.view[name].root == name
            and self._sharers[name] == 1
            and name in self.readers
            and set(self.readers[name]) <= members
        )

    def is_banded(self, index: int) -> bool:
        """Whether the operator can be run band by band on the chip."""
        operator = self.model.operators[index]
        if operator.unit != "npu" or operator.kind not in BANDED:
            return False
        if operator.kind == "resize_linear":  # rows that are named out of order need a map that is whole
            rows = self.model.constants[operator.constants["rows"]]
            return bool((np.diff([rows.min(axis=1), rows.max(axis=1)]) >= 0).all())
        # the channels of a PReLU of more axes than 4 are neither planes nor rows
        return operator.kind != "prelu" or len(self.model.tensors[operator.outputs[0]].shape) <= 4

    def blocks(self, members: Sequence[int]) -> int:
        """How many blocks of planes must be run one after the other."""
        return math.lcm(*(_blocks(self.model, self.model.operators[index]) for index in members))

    def fused(self) -> dict[int, int]:
        """Operator -> the head of its group."""
        head = {index: index for index in self.active}
        last = {index: index for index in self.active}  # head -> the operator that ends the group
        for index in self.active:
            source = self._source(index)
            if head[index] != index or source is None:
                continue
            front = head[self.maker[source]]
            if self._is_second_output(index) and self._may_join(index, front, {self.maker[source], index}):
                head[index] = front
                continue
            joining = self._joining(index, source) if last[front] == self.maker[source] else ()
            group = {*(each for each in self.active if head[each] == front), *joining}
            if joining and all(self._may_join(each, front, group) for each in joining):
                head.update(dict.fromkeys(joining, front))
                last[front] = joining[-1]
        return head

    def _source(self, index: int) -> str | None:
        """The tensor whose group a tail may join: the one that is made last, of the output's shape in
        cell-by-cell operators."""
        operator = self.model.operators[index]
        if operator.kind not in TAILS or not self.is_banded(index):
            return None
        made = [name for name in operator.inputs if name in self.maker]
        if not made:
            return None
        source = max(made, key=lambda name: self.maker[name])
        shapes = [self.model.tensors[name].shape for name in (source, operator.outputs[0])]
        if operator.kind in CELLWISE and shapes[0] != shapes[1]:
            return None
        return source if self.is_banded(self.maker[source]) else None

    def _is_second_output(self, index: int) -> bool:
        """Whether the operator leaves its input in another scale as a part of a concatenation."""
        operator = self.model.operators[index]
        return (
            operator.kind == "rescale" and self.shared.view[operator.outputs[0]].root != operator.outputs[0]
        )

    def _joining(self, index: int, source: str) -> tuple[int, ...]:
        """The operators that would join the group of `source`: this one, if nobody else reads it, or this
        one and the product of `source` with what this one makes of it."""
        readers = self.readers[source]
        if self.is_private(source, {index}):
            return (index,)
        operator = self.model.operators[index]
        others = [reader for reader in readers if reader != index]
        if operator.kind not in ("table", "curve", "rescale") or len(others) != 1:
            return ()
        made, product = operator.outputs[0], self.model.operators[others[0]]
        holds = (
            product.kind == "multiply"
            and set(product.inputs) == {source, made}
            and self.is_private(made, {others[0]})
            and self.is_private(source, {index, others[0]})
            and self.is_banded(others[0])
        )
        return (index, others[0]) if holds else ()

    def _may_join(self, index: int, front: int, group: set[int]) -> bool:
        """Whether all that the operator reads exists before operator `front`, or is made in its group and
        needed whole, and its blocks fit."""
        model = self.model
        operator = model.operators[index]
        for position, name in enumerate(operator.inputs):
            if self.maker.get(name) not in group:
                if self.ready(name) >= front:
                    return False
                continue
            outputs = form(model.tensors[operator.outputs[0]]).rows
            if not needs_all_rows(reach(model, operator, position), outputs, form(model.tensors[name]).rows):
                return False
        return fits_blocks(model, [model.operators[each] for each in sorted(group)])

    def ready(self, name: str) -> int:
        """The last operator that makes a part of the tensor; -1 if it is there from the start."""
        if name in self.maker:
            return self.maker[name]
        if name not in self.shared.view:
            return -1
        view = self.shared.view[name]
        end = view.offset + size_of(self.model, name)
        return max(
            (i for low, high, i in self._parts[view.root] if low < end and high > view.offset), default=-1
        )


def _blocks(model: FixedModel, operator: FixedOperator) -> int:
    target = model.tensors[operator.outputs[0]]
    if operator.kind in WEIGHTED | POOLS or operator.kind in ("resize_linear", "prelu"):
        return images(target.shape)
    if operator.kind in CELLWISE:
        planes = form(target).planes
        return math.lcm(
            *(planes // uniform_planes(model.tensors[n].shape, target.shape) for n in operator.inputs)
        )
    return 1


def fits_blocks(model: FixedModel, operators: Sequence[FixedOperator]) -> bool:
    """Whether the operators can be run in blocks of planes of the same number."""
    count = math.lcm(*(_blocks(model, operator) for operator in operators))
    return all(
        count == images(model.tensors[operator.outputs[0]].shape)
        if operator.kind in WEIGHTED
        else form(model.tensors[operator.outputs[0]]).planes % count == 0
        for operator in operators
    )
