"""Runs a plan without numbers: every byte remembers what it stands for, so that what is wrong shows.

A byte of a feature map is named by its place in its root; SRAM and DRAM hold names in place of values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.errors import ModelbuildError
from modelbuild.npu.planning.forms import Form, form, operand_form
from modelbuild.npu.planning.halo import input_planes, reach
from modelbuild.npu.planning.plan import (
    Action,
    Compute,
    Group,
    Load,
    LoadConstants,
    Operand,
    Plan,
    Region,
    Store,
    View,
)
from modelbuild.npu.planning.views import size_of
from modelbuild.npu.planning.weights import constant_size

Names = NDArray[np.int64]


def check_plan(model: FixedModel, plan: Plan, sram_bytes: int) -> None:
    """Raises a ModelbuildError that names the group where the plan reads what is not there, overwrites what
    was not read, leaves SRAM or its place in DRAM, computes or stores a row twice, or leaves one out."""
    checker = _Checker(model, plan, sram_bytes)
    for index, group in enumerate(plan.groups):
        checker.group(index, group)
    checker.finish()


@dataclass(frozen=True)
class _Names:
    """The names of all bytes: each root and each constant operand has a range of them."""

    base: Mapping[str, int]
    views: Mapping[str, View]
    total: int

    def region(self, model: FixedModel, region: Region) -> Names:
        """Names of a region's bytes, [planes, rows, row bytes]."""
        seen = form(model.tensors[region.tensor])
        return self.seen(region.tensor, seen, region)

    def seen(self, name: str, seen: Form, region: Region) -> Names:
        """The same, of a tensor in another form."""
        view = self.views.get(name, View(name, 0))
        start = self.base[view.root] + view.offset
        planes = np.arange(region.plane, region.plane + region.planes) * seen.plane_bytes
        rows = np.arange(region.row, region.row + region.rows) * seen.row_bytes
        names: Names = start + planes[:, None, None] + rows[:, None] + np.arange(seen.row_bytes)
        return names


class _Checker:
    def __init__(self, model: FixedModel, plan: Plan, sram_bytes: int) -> None:
        self.model, self.plan = model, plan
        self.names = _number(model, plan)
        self.sram = np.full(sram_bytes, -1, np.int64)
        self.unread = np.zeros(sram_bytes, bool)
        self.dram = np.full(plan.maps.size if plan.maps else 0, -1, np.int64)
        self.computed = np.zeros(self.names.total, bool)
        self.constants: dict[tuple[int, Region], int] = {}
        self.where = ""
        self.stored: set[tuple[int, int]] = set()
        self._stored = np.zeros(len(self.dram), bool)
        for name in model.inputs:
            self._write_dram(name)

    def fail(self, what: str) -> None:
        raise ModelbuildError(f"the plan is wrong: {what}", where=self.where)

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.fail(what)

    def group(self, index: int, group: Group) -> None:
        self.where = f"group {index}"
        self._stored[:] = False
        if group.actions:
            for action in group.actions:
                _ACTIONS[type(action)](self, action)
            return
        (member,) = group.members
        operator = self.model.operators[member]
        inside = self.plan.inside.get(member, frozenset())
        for position, name in enumerate(operator.inputs):
            if name not in self.model.constants and position not in inside:
                self.expect(self._in_dram(name), f"{operator.name} reads {name} before it is in DRAM")
        if group.workspace is not None:
            low, high = group.workspace.address, group.workspace.address + group.workspace.size
            self.expect(0 <= low < high <= len(self.sram), "a workspace is not in SRAM")
            self.expect(not self.unread[low:high].any(), "a workspace overwrites what was not read")
            self.sram[low:high] = -1
        for name in operator.outputs:
            skipped = self._made_in_place(member) if operator.kind == "concat" else np.zeros(0, np.int64)
            self._write_dram(name, skipped)
        for name in operator.inputs:
            if name not in self.model.constants:
                self.expect(self._in_dram(name), f"{operator.name} writes over {name}, which it reads")

    def finish(self) -> None:
        self.where = "end"
        self.expect(not self.unread.any(), "something in SRAM was never read")
        for name in self.model.outputs:
            self.expect(self._in_dram(name), f"a part of {name} was never stored")
        for group in self.plan.groups:
            for member in group.members if group.actions else ():
                name = self.model.operators[member].outputs[0]
                whole = self.names.region(self.model, _whole(self.model, name))
                self.expect(bool(self.computed[whole].all()), f"a row of {name} is never computed")

    def _made_in_place(self, member: int) -> Names:
        inputs = self.model.operators[member].inputs
        found = [
            self.names.region(self.model, _whole(self.model, inputs[position])).ravel()
            for position in sorted(self.plan.inside.get(member, frozenset()))
        ]
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def _dram_places(self, names: Names, name: str) -> Names:
        root = self.plan.views.get(name, View(name, 0)).root
        self.expect(root in self.plan.dram, f"{name} has no place in DRAM")
        places: Names = names - self.names.base[root] + self.plan.dram[root]
        self.expect(bool((places < len(self.dram)).all()), f"{name} is beyond DRAM")
        return places

    def _in_dram(self, name: str) -> bool:
        names = self.names.region(self.model, _whole(self.model, name))
        return bool((self.dram[self._dram_places(names, name)] == names).all())

    def _write_dram(self, name: str, skipped: Names | None = None) -> None:
        names = self.names.region(self.model, _whole(self.model, name)).ravel()
        if skipped is not None and skipped.size:
            names = np.setdiff1d(names, skipped)
        self._put_in_dram(names, name)

    def _put_in_dram(self, names: Names, name: str) -> None:
        places = self._dram_places(names, name)
        self.expect(not self._stored[places].any(), f"a byte of {name} is stored twice in a group")
        self._stored[places] = True
        self.dram[places] = names

    def _sram_places(self, operand: Operand, planes: int, row: int, rows: int) -> Names:
        buffer = operand.buffer
        self.expect(rows <= buffer.slots, "more rows than slots")
        self.expect(operand.plane >= 0 and operand.plane + planes <= buffer.planes, "planes beyond a buffer")
        self.expect(
            buffer.address >= 0 and buffer.address + buffer.size <= len(self.sram), "a buffer is not in SRAM"
        )
        slots = (row + np.arange(rows)) % buffer.slots
        first = buffer.address + (operand.plane + np.arange(planes)) * buffer.slots * buffer.row_bytes
        places: Names = (
            first[:, None, None] + (slots * buffer.row_bytes)[:, None] + np.arange(buffer.row_bytes)
        )
        return places

    def _put(self, places: Names, names: Names, what: str) -> None:
        self.expect(places.shape == names.shape, f"{what} has another shape than its buffer")
        self.expect(not self.unread[places].any(), f"{what} overwrites what was not read")
        self.sram[places] = names
        self.unread[places] = True

    def _take(self, places: Names, names: Names, what: str) -> None:
        self.expect(places.shape == names.shape, f"{what} has another shape than its buffer")
        self.expect(bool((self.sram[places] == names).all()), f"{what} is not there")
        self.unread[places] = False

    def load(self, action: Load) -> None:
        region = action.region
        names = self.names.region(self.model, region)
        if region.tensor not in self.model.constants:
            places = self._dram_places(names, region.tensor)
            self.expect(
                bool((self.dram[places] == names).all()), f"{region.tensor} is loaded before it is there"
            )
            self.expect(
                not self._stored[places].any(), f"{region.tensor} is loaded by the group that stores it"
            )
        self._put(self._sram_places(action.to, region.planes, region.row, region.rows), names, region.tensor)

    def load_constants(self, action: LoadConstants) -> None:
        operator = self.model.operators[action.operator]
        size = constant_size(self.model, operator, action.region)
        self.expect(
            action.address >= 0 and action.address + size <= len(self.sram), "constants are not in SRAM"
        )
        places = action.address + np.arange(size)
        self._put(
            places,
            self._constant_names(action.operator, action.region, size),
            f"constants of {operator.name}",
        )

    def _constant_names(self, operator: int, region: Region, size: int) -> Names:
        start = self.constants.setdefault((operator, region), self.names.total + (len(self.constants) << 32))
        return start + np.arange(size)

    def compute(self, action: Compute) -> None:
        operator = self.model.operators[action.operator]
        region = action.region
        self.expect(region.tensor == operator.outputs[0], "a region is not of its operator's output")
        for position, operand in enumerate(action.inputs):
            self._read_input(action, position, operand)
        if action.constants is not None:
            self._read_constants(action)
        names = self.names.region(self.model, region)
        self.expect(not self.computed[names].any(), f"a row of {region.tensor} is computed twice")
        self.computed[names] = True
        places = self._sram_places(action.output, region.planes, region.row, region.rows)
        self._put(places, names, region.tensor)

    def _read_input(self, action: Compute, position: int, operand: Operand) -> None:
        operator, region = self.model.operators[action.operator], action.region
        name = operator.inputs[position]
        low, high = reach(self.model, operator, position).rows(region.row, region.row + region.rows)
        if high <= low:
            return
        plane, planes = input_planes(self.model, operator, position, region.plane, region.planes)
        seen = operand_form(self.model.tensors[name], len(self.model.tensors[region.tensor].shape))
        names = self.names.seen(name, seen, Region(name, plane, planes, low, high - low))
        self._take(self._sram_places(operand, planes, low, high - low), names, f"{name} for {operator.name}")

    def _read_constants(self, action: Compute) -> None:
        operator = self.model.operators[action.operator]
        assert action.constants is not None
        found = [
            (key, start)
            for key, start in self.constants.items()
            if key[0] == action.operator and self.sram[action.constants] == start
        ]
        self.expect(len(found) == 1, f"the constants of {operator.name} are not there")
        (_, wanted), start = found[0]
        self.expect(
            _serves(self.model, action, wanted), f"the constants of {operator.name} are of another part"
        )
        size = constant_size(self.model, operator, wanted)
        places = action.constants + np.arange(size)
        self._take(places, start + np.arange(size), f"constants of {operator.name}")

    def store(self, action: Store) -> None:
        region = action.region
        names = self.names.region(self.model, region)
        places = self._sram_places(action.source, region.planes, region.row, region.rows)
        self._take(places, names, f"{region.tensor} to store")
        self._put_in_dram(names, region.tensor)


def _serves(model: FixedModel, action: Compute, wanted: Region) -> bool:
    """Whether constants of region `wanted` are those of the action's."""
    operator, region = model.operators[action.operator], action.region
    planes_matter = operator.kind in ("conv", "gemm", "prelu")
    rows_matter = operator.kind == "resize_linear"
    whole = form(model.tensors[region.tensor])
    shape = model.tensors[region.tensor].shape
    each = whole.planes // (shape[0] if len(shape) in (2, 4) else 1)
    if planes_matter and (region.plane % each, region.planes) != (wanted.plane % each, wanted.planes):
        return False
    return not rows_matter or (region.row, region.rows) == (wanted.row, wanted.rows)


def _whole(model: FixedModel, name: str) -> Region:
    found = form(model.tensors[name])
    return Region(name, 0, found.planes, 0, found.rows)


def _number(model: FixedModel, plan: Plan) -> _Names:
    base: dict[str, int] = {}
    total = 0
    for name in model.tensors:
        if name not in plan.views:
            base[name] = total
            total += size_of(model, name)
    return _Names(base, plan.views, total)


_ACTIONS: dict[type[Action], Callable[[_Checker, Action], None]] = {
    Load: _Checker.load,  # type: ignore[dict-item]
    LoadConstants: _Checker.load_constants,  # type: ignore[dict-item]
    Compute: _Checker.compute,  # type: ignore[dict-item]
    Store: _Checker.store,  # type: ignore[dict-item]
}
