"""Operators that move integers: Concat, Reshape and its kin, Transpose, Slice, Split, Pad, Gather ..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.quantize.assembly import Assembly, operand_bits
from modelbuild.quantize.emission import Emission
from modelbuild.quantize.settings import LARGEST

_PAD_MODES: dict[object, Literal["reflect", "edge"]] = {"reflect": "reflect", "edge": "edge"}


def concat(assembly: Assembly) -> None:
    """Inputs that do not have the output's scale are rescaled on the way."""
    node = assembly.node
    y = assembly.output()
    inputs = [assembly.tensor(name) for name in node.inputs]
    pairs = [assembly.decompose(x.scale / y.scale, operand_bits(*inputs)) for x in inputs]
    parameters: dict[str, Parameter] = {
        "axis": node.int("axis", 0) % len(y.shape),
        "input_zeros": tuple(x.zero_point for x in inputs),
        "multipliers": tuple(multiplier for multiplier, _ in pairs),
        "shifts": tuple(shift for _, shift in pairs),
    }
    assembly.emit("concat", inputs, y, {**parameters, **assembly.bounds(y)})


def reshape(assembly: Emission) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: the output's shape is known."""
    y = assembly.output()
    assembly.emit("reshape", (_input(assembly),), y, {"shape": y.shape})


def transpose(assembly: Emission) -> None:
    """Axes in another order; reversed when no order is given."""
    x = _input(assembly)
    perm = tuple(assembly.node.ints("perm", list(reversed(range(len(x.shape))))))
    assembly.emit("transpose", (x,), assembly.output(), {"perm": perm})


def slice_axes(assembly: Emission) -> None:
    """Slice with constant bounds; a negative step is a `gather`."""
    x, y = _input(assembly), assembly.output()
    lists = [_integers(assembly, index) for index in range(1, len(assembly.node.inputs))]
    starts, ends = lists[0], lists[1]
    axes = lists[2] if len(lists) > 2 and lists[2] is not None else list(range(len(starts or [])))
    steps = lists[3] if len(lists) > 3 and lists[3] is not None else [1] * len(axes)
    if starts is None or ends is None:
        assembly.fail("its bounds must be constants")
    spans = [slice(0, size, 1) for size in x.shape]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        spans[axis % len(x.shape)] = slice(start, end, step)
    ranges = [range(*span.indices(size)) for span, size in zip(spans, x.shape, strict=True)]
    if all(part.step > 0 for part in ranges):
        _emit_slice(assembly, x, y, ranges)
        return
    gather_axes(assembly, x, {axis: np.array(part, np.int32) for axis, part in enumerate(ranges)}, y)


def _emit_slice(assembly: Emission, x: QuantizedTensor, y: QuantizedTensor, ranges: list[range]) -> None:
    parameters: dict[str, Parameter] = {
        "starts": tuple(part.start for part in ranges),
        "ends": tuple(part.stop for part in ranges),
        "steps": tuple(part.step for part in ranges),
    }
    assembly.emit("slice", (x,), y, parameters)


def split(assembly: Emission) -> None:
    """One `slice` an output."""
    x = _input(assembly)
    axis = assembly.node.int("axis", 0) % len(x.shape)
    start = 0
    for index in range(len(assembly.step.outputs)):
        y = assembly.output(index)
        ranges = [range(size) for size in x.shape]
        ranges[axis] = range(start, start + y.shape[axis])
        start += y.shape[axis]
        _emit_slice(assembly, x, y, ranges)


def pad(assembly: Emission) -> None:
    """Constant padding; `reflect` and `edge` repeat cells by `gather`."""
    node = assembly.node
    x, y = _input(assembly), assembly.output()
    widths = _integers(assembly, 1)
    if widths is None:
        assembly.fail("its pads must be constants")
    rank = len(x.shape)
    axes = _integers(assembly, 3) if len(node.inputs) > 3 and node.inputs[3] else list(range(rank))
    if axes is None:
        assembly.fail("its axes must be constants")
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(axes):
        before[axis % rank], after[axis % rank] = widths[place], widths[place + len(axes)]
    if min(before + after) < 0:
        assembly.fail("its pads are negative")
    mode = node.attributes.get("mode", "constant")
    if mode == "constant":
        named = len(node.inputs) > 2 and node.inputs[2]
        value = assembly.graph.constants.get(node.inputs[2]) if named else np.zeros(1)
        if value is None:
            assembly.fail("its value must be a constant")
        filling = min(max(float(np.asarray(value).reshape(-1)[0]), -LARGEST), LARGEST)
        step = round(filling / y.scale) + y.zero_point
        parameters: dict[str, Parameter] = {"before": tuple(before), "after": tuple(after)}
        parameters["value"] = min(max(step, y.low), y.high)  # `padding.py` sees to it that nothing is lost
        assembly.emit("pad", (x,), y, parameters)
    elif mode in _PAD_MODES:
        lines = {
            axis: np.pad(np.arange(size), (before[axis], after[axis]), mode=_PAD_MODES[mode])
            for axis, size in enumerate(x.shape)
        }
        gather_axes(assembly, x, lines, y)
    else:
        assembly.fail(f"the mode {mode!r} has no fixed-point form")


def gather(assembly: Emission) -> None:
    """Slabs by constant indices; scalar indices drop the axis."""
    node = assembly.node
    x, y = _input(assembly), assembly.output()
    indices = assembly.graph.constants.get(node.inputs[1])
    if indices is None or indices.dtype.kind not in "iu":
        assembly.fail("its indices must be constants")
    axis = node.int("axis", 0) % len(x.shape)
    flat = indices.reshape(-1).astype(np.int64) % x.shape[axis]
    if indices.ndim == 1:
        gather_axes(assembly, x, {axis: flat}, y)
        return
    middle = assembly.between(x, (*x.shape[:axis], len(flat), *x.shape[axis + 1 :]), "gathered")
    assembly.emit("gather", (x,), middle, {"axis": axis}, {"indices": flat.astype(np.int32)})
    assembly.emit("reshape", (middle,), y, {"shape": y.shape})


def gather_axes(
    assembly: Emission, x: QuantizedTensor, lines: Mapping[int, NDArray[Any]], y: QuantizedTensor
) -> None:
    """y from x: along each axis the cells in the order of `lines`, one `gather` an axis that changes."""
    changes = [
        (axis, np.asarray(line, np.int32))
        for axis, line in sorted(lines.items())
        if not np.array_equal(line, np.arange(x.shape[axis]))
    ]
    current = x
    for place, (axis, line) in enumerate(changes, 1):
        shape = (*current.shape[:axis], len(line), *current.shape[axis + 1 :])
        out = y if place == len(changes) else assembly.between(x, shape, "gathered")
        assembly.emit("gather", (current,), out, {"axis": axis}, {"indices": line})
        current = out
    if current is not y:
        assembly.emit("reshape", (current,), y, {"shape": y.shape})


def expand(assembly: Emission) -> None:
    """Expand and Tile: cells again and again along each axis."""
    x, y = _input(assembly), assembly.output()
    wide = x
    if len(x.shape) < len(y.shape):
        wide = assembly.between(x, (1,) * (len(y.shape) - len(x.shape)) + x.shape, "wide")
        assembly.emit("reshape", (x,), wide, {"shape": wide.shape})
    lines = {axis: np.arange(size) % wide.shape[axis] for axis, size in enumerate(y.shape)}
    gather_axes(assembly, wide, lines, y)


def depth_to_space(assembly: Emission) -> None:
    """DepthToSpace: reshape, transpose, reshape."""
    x, y = _input(assembly), assembly.output()
    block = assembly.node.int("blocksize", 1)
    n, c, h, w = x.shape
    deep = c // (block * block)
    if assembly.node.attributes.get("mode", "DCR") == "CRD":
        _three_moves(assembly, x, y, (n, deep, block, block, h, w), (0, 1, 4, 2, 5, 3))
    else:
        _three_moves(assembly, x, y, (n, block, block, deep, h, w), (0, 3, 4, 1, 5, 2))


def space_to_depth(assembly: Emission) -> None:
    """SpaceToDepth: reshape, transpose, reshape."""
    x, y = _input(assembly), assembly.output()
    block = assembly.node.int("blocksize", 1)
    n, c, h, w = x.shape
    _three_moves(assembly, x, y, (n, c, h // block, block, w // block, block), (0, 3, 5, 1, 2, 4))


def _three_moves(
    assembly: Emission, x: QuantizedTensor, y: QuantizedTensor, shape: tuple[int, ...], perm: tuple[int, ...]
) -> None:
    opened = assembly.between(x, shape, "opened")
    assembly.emit("reshape", (x,), opened, {"shape": shape})
    turned = assembly.between(x, tuple(shape[axis] for axis in perm), "turned")
    assembly.emit("transpose", (opened,), turned, {"perm": perm})
    assembly.emit("reshape", (turned,), y, {"shape": y.shape})


def _input(assembly: Emission) -> QuantizedTensor:
    return assembly.tensor(assembly.node.inputs[0])


def _integers(assembly: Emission, index: int) -> list[int] | None:
    """The constant input `index` as integers; None if it is absent or no constant."""
    name = assembly.node.inputs[index] if len(assembly.node.inputs) > index else ""
    value = assembly.graph.constants.get(name)
    return None if value is None else [int(item) for item in value.reshape(-1)]


BUILDERS = {
    "Concat": concat,
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), reshape),
    "Transpose": transpose,
    "Slice": slice_axes,
    "Split": split,
    "Pad": pad,
    "Gather": gather,
    **dict.fromkeys(("Expand", "Tile"), expand),
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
