"""What importers of channels-last sources write: operators by the source's axes, stored in any order.

Every function takes names, shapes and axes as the source has them, and makes the tensor `output`, which may
be a `Writer.scratch` name. Axes count from 0; negative ones are the caller's to resolve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modelbuild.graph.model import Attribute, Shape
from modelbuild.importers.channels_last import Order, Writer, channels_first, source_order

Attributes = Mapping[str, Attribute]


def plain(
    w: Writer, op: str, inputs: Sequence[str], output: str, attributes: Attributes | None = None
) -> None:
    """An operator that needs its inputs in the source's own order, and gives its output so (MatMul)."""
    w.emit(op, [w.ordered(name) for name in inputs], {output: None}, attributes)


def elementwise(
    w: Writer, op: str, inputs: Sequence[str], output: str, attributes: Attributes | None = None
) -> None:
    """An operator on every element, or on several tensors that broadcast as numpy's do."""
    order = w.common_order(inputs)
    w.emit(op, [w.aligned(name, order) for name in inputs], {output: order}, attributes)


def clip(w: Writer, data: str, output: str, low: float | None, high: float | None) -> None:
    """`data` limited to [low, high]; Relu for [0, None]."""
    if low == 0 and high is None:
        elementwise(w, "Relu", [data], output)
        return
    bounds = [("minimum", low), ("maximum", high)]
    names = [
        "" if at is None else w.parameter(f"{output}_{word}", np.array(at, np.float32)) for word, at in bounds
    ]
    order = w.order(data)
    w.emit("Clip", [w.ordered(data, order), *names], {output: order})


def spatial(
    w: Writer,
    op: str,
    data: str,
    parameters: Sequence[str],
    output: str,
    attributes: Attributes | None = None,
) -> None:
    """Conv, ConvTranspose, a pool, Resize, DepthToSpace ...: [N, spatial ..., C] in ONNX's own order.

    `parameters` are further inputs in ONNX's layout, of `Writer.parameter`."""
    order = channels_first(len(w.shape(data)))
    w.emit(op, [w.ordered(data, order), *parameters], {output: order}, attributes)


def along(
    w: Writer,
    op: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    axis: int,
    attributes: Attributes | None = None,
    parameters: Sequence[str] = (),
) -> None:
    """An operator with an attribute `axis` that keeps the rank: Concat, Split, Softmax, LogSoftmax."""
    order = w.common_order(inputs)
    found = {**(attributes or {}), "axis": order.index(axis)}
    stored = [w.ordered(name, order) for name in inputs]
    w.emit(op, [*stored, *parameters], dict.fromkeys(outputs, order), found)


def split(w: Writer, data: str, outputs: Sequence[str], axis: int, sizes: Sequence[int]) -> None:
    """`data` in parts of `sizes` along `axis`."""
    along(w, "Split", [data], outputs, axis, None, [w.integers(f"{outputs[0]}_sizes", sizes)])


def reduce(w: Writer, op: str, data: str, output: str, axes: Sequence[int], keep: bool) -> None:
    """ReduceMean, ReduceSum, ReduceMax ... over `axes`."""
    order = w.order(data)
    stored = sorted(order.index(axis) for axis in axes)
    attributes: dict[str, Attribute] = {"keepdims": int(keep)}
    inputs = [w.ordered(data, order)]
    if op == "ReduceSum":  # the one whose axes are an input in operator set 17
        inputs.append(w.integers(f"{output}_axes", stored))
    else:
        attributes["axes"] = stored
    w.emit(op, inputs, {output: order if keep else without(order, axes)}, attributes)


def arg(w: Writer, op: str, data: str, output: str, axis: int) -> None:
    """ArgMax or ArgMin along `axis`, which disappears; int64. Of equals the first."""
    order = w.order(data)
    attributes: dict[str, Attribute] = {"axis": order.index(axis), "keepdims": 0}
    w.emit(op, [w.ordered(data, order)], {output: without(order, [axis])}, attributes)


def pad(
    w: Writer,
    data: str,
    output: str,
    pads: Sequence[tuple[int, int]],
    mode: str = "constant",
    value: float = 0.0,
) -> None:
    """(before, after) for each axis; `mode` is ONNX's constant, reflect or edge."""
    order = w.order(data)
    amounts = [pads[axis][0] for axis in order] + [pads[axis][1] for axis in order]
    inputs = [w.ordered(data, order), w.integers(f"{output}_pads", amounts)]
    if mode == "constant":
        inputs.append(w.parameter(f"{output}_value", np.asarray(value, w.dtype(data))))
    w.emit("Pad", inputs, {output: order}, {"mode": mode})


def cut(
    w: Writer, data: str, output: str, starts: Sequence[int], ends: Sequence[int], steps: Sequence[int]
) -> None:
    """A Slice: start, end and step of each axis, as ONNX means them; whole axes are left out."""
    order, shape = w.order(data), w.shape(data)
    touched = [
        position
        for position, axis in enumerate(order)
        if (starts[axis], steps[axis]) != (0, 1) or ends[axis] < shape[axis]
    ]
    stored = w.ordered(data, order)
    if not touched:
        w.emit("Identity", [stored], {output: order})
        return
    columns = {"starts": starts, "ends": ends, "axes": source_order(len(order)), "steps": steps}
    lists = {name: [column[order[i]] for i in touched] for name, column in columns.items()}
    lists["axes"] = touched
    parameters = [w.integers(f"{output}_{name}", values) for name, values in lists.items()]
    w.emit("Slice", [stored, *parameters], {output: order})


def squeeze(w: Writer, data: str, output: str, axes: Sequence[int]) -> None:
    """Takes out `axes` of size 1."""
    order = w.order(data)
    if not axes:
        w.emit("Identity", [w.ordered(data, order)], {output: order})
        return
    positions = w.integers(f"{output}_axes", sorted(order.index(axis) for axis in axes))
    w.emit("Squeeze", [w.ordered(data, order), positions], {output: without(order, axes)})


def expand(w: Writer, data: str, output: str, axis: int) -> None:
    """Puts in an axis of size 1, which is number `axis` of the output."""
    order = w.order(data)
    moved = [item + (item >= axis) for item in order]
    wished = channels_first(len(moved) + 1)
    if [item for item in wished if item != axis] == moved and order != source_order(len(order)):
        place = wished.index(axis)
    else:
        place = axis
    result = (*moved[:place], axis, *moved[place:])
    w.emit("Unsqueeze", [w.ordered(data, order), w.integers(f"{output}_axes", [place])], {output: result})


def reshape(w: Writer, data: str, output: str, shape: Shape) -> None:
    """The numbers of `data`, in the source's order, in another shape.

    Where only axes of 1 come or go, the stored order is kept, and no Transpose is needed."""
    order = _order_behind(w.order(data), w.shape(data), shape)
    stored = w.ordered(data, None if order is None else w.order(data))
    final = source_order(len(shape)) if order is None else order
    target = w.integers(f"{output}_shape", [shape[axis] for axis in final])
    w.emit("Reshape", [stored, target], {output: final})


def transpose(w: Writer, data: str, output: str, perm: Sequence[int]) -> None:
    """The source's own transpose: the numbers stay where they are, the axes get other numbers."""
    order = w.order(data)
    w.emit("Identity", [w.ordered(data, order)], {output: tuple(list(perm).index(axis) for axis in order)})


def tile(w: Writer, data: str, output: str, repeats: Sequence[int]) -> None:
    """`data` repeated along each axis."""
    order = w.order(data)
    counts = w.integers(f"{output}_repeats", [repeats[axis] for axis in order])
    w.emit("Tile", [w.ordered(data, order), counts], {output: order})


def broadcast(w: Writer, data: str, output: str, shape: Shape) -> None:
    """`data` expanded to `shape`, whose rank may be higher."""
    order = w.order(data) if len(w.shape(data)) == len(shape) else source_order(len(shape))
    target = w.integers(f"{output}_shape", [shape[axis] for axis in order])
    w.emit("Expand", [w.aligned(data, order), target], {output: order})


def resize(w: Writer, data: str, output: str, sizes: Sequence[int], attributes: Attributes) -> None:
    """[N, spatial ..., C] enlarged or reduced to the spatial `sizes`, by ONNX's Resize."""
    shape = w.shape(data)
    target = w.integers(f"{output}_sizes", [shape[0], shape[-1], *sizes])
    spatial(w, "Resize", data, ["", "", target], output, attributes)


def without(order: Order, axes: Sequence[int]) -> Order:
    """The order of what is left when `axes` are taken away and the others are numbered anew."""
    left = [axis for axis in range(len(order)) if axis not in axes]
    return tuple(left.index(axis) for axis in order if axis in left)


def _order_behind(order: Order, old: Shape, new: Shape) -> Order | None:
    """The order of a reshaped tensor whose axes above 1 are those of `old`; None where others are."""
    if order == source_order(len(order)) or [n for n in old if n > 1] != [n for n in new if n > 1]:
        return None
    old_wide = [axis for axis, size in enumerate(old) if size > 1]
    new_wide = [axis for axis, size in enumerate(new) if size > 1]
    renumbered = dict(zip(old_wide, new_wide, strict=True))
    wide = [renumbered[axis] for axis in order if axis in renumbered]
    for wished in (source_order(len(new)), channels_first(len(new))):
        if [axis for axis in wished if axis in new_wide] == wide:
            return wished
    return (*wide, *(axis for axis in range(len(new)) if axis not in new_wide))
