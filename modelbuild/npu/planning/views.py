"""Tensors that share the memory of another: reshapes, parts of a concatenation, contiguous slices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.npu.planning.plan import View


@dataclass(frozen=True)
class Shared:
    """`view` has every feature map. `free` are the operators that need no code, `inside` the positions of a
    concat's inputs that are made in place."""

    view: Mapping[str, View]
    free: frozenset[int]
    inside: Mapping[int, frozenset[int]]

    @property
    def views(self) -> dict[str, View]:
        """Those maps that are not a memory of their own."""
        return {name: view for name, view in self.view.items() if view.root != name}


def size_of(model: FixedModel, name: str) -> int:
    """Bytes of a dense tensor."""
    tensor = model.tensors[name]
    return math.prod(tensor.shape) * tensor.dtype.itemsize


def share(model: FixedModel) -> Shared:
    """Inputs and outputs of the model have a memory of their own; an operator between two of them copies."""
    view = _reshapes_and_slices(model)
    free = {
        index
        for index, operator in enumerate(model.operators)
        if operator.kind in ("reshape", "slice") and view[operator.outputs[0]].root != operator.outputs[0]
    }
    border = {view[name].root for name in (*model.inputs, *model.outputs)}
    parent: dict[str, View] = {}
    inside: dict[int, frozenset[int]] = {}
    for index, operator in enumerate(model.operators):
        if operator.kind == "concat":
            inside[index] = _take_in(model, operator, view, border, parent)
            if len(inside[index]) == len(operator.inputs):
                free.add(index)
    return Shared({name: _resolve(found, parent) for name, found in view.items()}, frozenset(free), inside)


def _reshapes_and_slices(model: FixedModel) -> dict[str, View]:
    view = {name: View(name, 0) for name in model.inputs}
    border = {*model.inputs, *model.outputs}
    taken = set(model.inputs)
    for operator in model.operators:
        for name in operator.outputs:
            offset = _offset_in_input(model, operator)
            source = view.get(operator.inputs[0]) if offset is not None else None
            if source is not None and name in border:
                whole = size_of(model, name) == size_of(model, source.root)
                source = source if whole and source.root not in taken else None
            if source is None or offset is None:
                view[name] = View(name, 0)
            else:
                view[name] = View(source.root, source.offset + offset)
            if name in border:
                taken.add(view[name].root)
    return view


def _offset_in_input(model: FixedModel, operator: FixedOperator) -> int | None:
    """Where in its first input the output lies, in bytes, if it is a piece of it."""
    before = model.tensors[operator.inputs[0]] if operator.inputs else None
    after = model.tensors[operator.outputs[0]]
    if before is None or before.dtype != after.dtype:
        return None
    if operator.kind == "reshape":
        return 0
    if operator.kind != "slice":
        return None
    bounds = (operator.parameters[name] for name in ("starts", "ends", "steps"))
    starts, ends, steps = (bound if isinstance(bound, tuple) else () for bound in bounds)
    shape, cut = before.shape, False
    offset, stride = 0, before.dtype.itemsize * math.prod(before.shape)
    for start, end, step, extent in zip(starts, ends, steps, shape, strict=True):
        stride //= extent
        first, behind, each = slice(start, end, step).indices(extent)
        count = len(range(first, behind, each))
        if (cut and count != extent) or (each != 1 and count > 1) or count == 0:
            return None
        cut = cut or count > 1
        offset += first * stride
    return offset


def _take_in(
    model: FixedModel,
    operator: FixedOperator,
    view: Mapping[str, View],
    border: set[str],
    parent: dict[str, View],
) -> frozenset[int]:
    """Which inputs are made in place; `parent` learns where."""
    name = operator.outputs[0]
    target = model.tensors[name]
    axis = operator.parameters["axis"]
    assert isinstance(axis, int)
    if math.prod(target.shape[: axis % len(target.shape)]) != 1:
        return frozenset()
    found: set[int] = set()
    offset = 0
    for position, source in enumerate(operator.inputs):
        size = size_of(model, source)
        root = view[source].root if source in view else None
        if (
            root is not None
            and root not in border
            and root not in parent
            and size_of(model, root) == size
            and keeps_integers(model, operator, position)
        ):
            parent[root] = View(name, offset)
            found.add(position)
        offset += size
    return frozenset(found)


def keeps_integers(model: FixedModel, operator: FixedOperator, position: int) -> bool:
    """Whether a concat leaves its input `position` as it is."""
    source, target = model.tensors[operator.inputs[position]], model.tensors[operator.outputs[0]]
    parameters = operator.parameters
    zeros, multipliers, shifts = (parameters[name] for name in ("input_zeros", "multipliers", "shifts"))
    assert isinstance(zeros, tuple) and isinstance(multipliers, tuple) and isinstance(shifts, tuple)
    low, high = parameters["low"], parameters["high"]
    assert isinstance(low, int) and isinstance(high, int)
    return (
        (multipliers[position], shifts[position], zeros[position]) == (1, 0, parameters["output_zero"])
        and source.dtype == target.dtype
        and low <= source.low
        and high >= source.high
    )


def _resolve(view: View, parent: Mapping[str, View]) -> View:
    while view.root in parent:
        above = parent[view.root]
        view = View(above.root, above.offset + view.offset)
    return view
