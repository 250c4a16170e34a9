"""Neighbouring groups made one, whose maps in between pass through rings of rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.grouping import Bundle, Grouping, fits_blocks
from modelbuild.npu.planning.halo import needs_all_rows, reach
from modelbuild.npu.planning.views import Shared, size_of


class Merging:
    """Which groups of a model can be executed as one."""

    def __init__(self, model: FixedModel, shared: Shared, groups: Sequence[Bundle]) -> None:
        self.model, self.shared, self.groups = model, shared, groups
        self.grouping = Grouping(model, shared)
        self.makers = {
            name: index for index, operator in enumerate(model.operators) for name in operator.outputs
        }
        self._parts: dict[str, list[tuple[int, int, str, int]]] = {}  # root -> (begin, end, tensor, maker)
        self._reads: dict[str, list[tuple[int, int, int]]] = {}  # root -> (begin, end, reader)
        for index in self.grouping.active:
            for name in model.operators[index].outputs:
                view = shared.view[name]
                stretch = (view.offset, view.offset + size_of(model, name), name, index)
                self._parts.setdefault(view.root, []).append(stretch)
        for name, readers in self.grouping.readers.items():
            if name in shared.view:
                view = shared.view[name]
                end = view.offset + size_of(model, name)
                self._reads.setdefault(view.root, []).extend((view.offset, end, index) for index in readers)

    def merged(self, groups: Sequence[Bundle]) -> Bundle | None:
        """One group of these neighbours, or None where a map between them cannot pass row by row."""
        if len(groups) == 1:
            return groups[0]
        if not all(group.banded for group in groups):
            return None
        return self.bundle(tuple(sorted(index for group in groups for index in group.members)))

    def bundle(self, members: tuple[int, ...]) -> Bundle | None:
        """The group of these banded operators, if they can be one."""
        inside = set(members)
        if not fits_blocks(self.model, [self.model.operators[index] for index in members]):
            return None
        joins: set[int] = set()
        reads: dict[str, None] = {}
        for index in members:
            for name in self.model.operators[index].inputs:
                if self.makers.get(name) not in inside and not self.join(name, inside, joins, reads):
                    return None
        blocks = self.grouping.blocks(members)
        if joins and blocks != 1:
            return None
        made = [name for index in members for name in self.model.operators[index].outputs]
        writes = tuple(name for name in made if self.is_needed_outside(name, inside))
        bundle = Bundle(members, tuple(reads), writes, True, blocks, tuple(sorted(joins)))
        return bundle if self._is_read(bundle) else None

    def halves(self, group: Bundle) -> tuple[Bundle, ...]:
        """A group in two that can be executed one after the other, as equal as possible."""
        members = group.members
        middle = len(members) // 2
        for size in sorted(range(1, len(members)), key=lambda size: (abs(size - middle), -size)):
            parts = [self.bundle(part) for part in (members[:size], members[size:])]
            if all(part is not None for part in parts):
                return tuple(part for part in parts if part is not None)
        return tuple(self.grouping.bundle([index]) for index in members)

    def join(self, name: str, inside: set[int], joins: set[int], reads: dict[str, None]) -> bool:
        """Makes `name`, which no member makes, something that the group reads, or a join of what it makes and
        reads; False if a part of it is made inside and cannot be joined."""
        if not self.makers_of(name) & inside:
            reads[name] = None
            return True
        index = self.makers[name]
        operator = self.model.operators[index]
        if operator.kind != "concat" or index not in self.shared.free or not self._is_of_planes(index):
            return False
        if index in joins:
            return True
        joins.add(index)
        return all(
            self.makers.get(part) in inside or self.join(part, inside, joins, reads)
            for part in operator.inputs
        )

    def makers_of(self, name: str) -> set[int]:
        """The operators that make a part of a tensor."""
        if name not in self.shared.view:
            return set()
        view = self.shared.view[name]
        end = view.offset + size_of(self.model, name)
        return {
            index
            for low, high, _, index in self._parts.get(view.root, [])
            if low < end and high > view.offset
        }

    def _is_of_planes(self, index: int) -> bool:
        """Whether a concat lays planes one behind the other."""
        operator = self.model.operators[index]
        target = form(self.model.tensors[operator.outputs[0]])
        sources = [form(self.model.tensors[name]) for name in operator.inputs]
        return all((it.rows, it.columns) == (target.rows, target.columns) for it in sources)

    def is_needed_outside(self, name: str, inside: Collection[int]) -> bool:
        """Whether an operator outside, or the caller of the model, reads a part of what a member makes."""
        view = self.shared.view[name]
        end = view.offset + size_of(self.model, name)
        if any(self.shared.view[output].root == view.root for output in self.model.outputs):
            return True
        return any(
            low < end and high > view.offset and index not in inside
            for low, high, index in self._reads.get(view.root, [])
        )

    def _is_read(self, bundle: Bundle) -> bool:
        """Whether every map that stays inside, and every part of a join, is needed to its last row."""
        model = self.model
        needed: set[str] = set()
        for index in sorted((*bundle.members, *bundle.joins), reverse=True):
            operator = model.operators[index]
            for position, name in enumerate(operator.inputs):
                if index in bundle.joins:
                    if operator.outputs[0] in needed:
                        needed.add(name)
                    continue
                rows = form(model.tensors[operator.outputs[0]]).rows
                if name in model.constants or needs_all_rows(
                    reach(model, operator, position), rows, form(model.tensors[name]).rows
                ):
                    needed.add(name)
        made = {name for index in bundle.members for name in model.operators[index].outputs}
        parts = {name for index in bundle.joins for name in model.operators[index].inputs}
        return (made - set(bundle.writes)) | parts <= needed
