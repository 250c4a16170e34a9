"""Operators that move numbers: reshapes, slices, joins, pads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

from modelbuild.graph.model import Attribute, Shape
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.tflite.layer import Layer, Rule


def _reshape(layer: Layer) -> None:
    """The new shape is input 1, or in old files an option; one -1 stands for what is left."""
    if layer.has(1):
        wanted = layer.ints(1)
    else:
        table = layer.operator.options
        wanted = [] if table is None else list(table.integers(0, "i"))
    shape = _resolved(layer, wanted, math.prod(layer.shape(0)))
    ops.reshape(layer.writer, layer.input(0), layer.output, shape)


def _resolved(layer: Layer, wanted: Sequence[int], count: int) -> Shape:
    known = math.prod(size for size in wanted if size != -1)
    open_axes = sum(size == -1 for size in wanted)
    if open_axes > 1 or min(wanted, default=0) < -1 or (open_axes and (not known or count % known)):
        raise layer.wrong(f"makes {list(wanted)} of {count} numbers")
    shape = tuple(count // known if size == -1 else size for size in wanted)
    if math.prod(shape) != count:
        raise layer.wrong(f"makes {list(wanted)} of {count} numbers")
    return shape


def _squeeze(layer: Layer) -> None:
    shape, table = layer.shape(0), layer.operator.options
    given = [] if table is None else list(table.integers(0, "i"))
    axes = layer.axes(given, len(shape)) or [axis for axis, size in enumerate(shape) if size == 1]
    if any(shape[axis] != 1 for axis in axes):
        raise layer.wrong(f"takes the axes {axes} out of {list(shape)}")
    ops.squeeze(layer.writer, layer.input(0), layer.output, axes)


def _expand(layer: Layer) -> None:
    ops.expand(layer.writer, layer.input(0), layer.output, layer.axis(layer.one(1), layer.rank(0) + 1))


def _transpose(layer: Layer) -> None:
    perm = [layer.axis(axis, layer.rank(0)) for axis in layer.ints(1)]
    if sorted(perm) != list(range(layer.rank(0))):
        raise layer.wrong(f"exchanges the axes {perm} of {layer.rank(0)}")
    ops.transpose(layer.writer, layer.input(0), layer.output, perm)


def _pairs(layer: Layer) -> list[tuple[int, int]]:
    numbers = layer.ints(1)
    if len(numbers) != 2 * layer.rank(0) or min(numbers, default=0) < 0:
        raise layer.wrong(f"has the pads {numbers} for {layer.rank(0)} axes")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _pad(layer: Layer) -> None:
    """PADV2 has the value as input 2; it is rounded to the output's codes where these are kept."""
    value = 0.0
    if layer.has(2):
        found = layer.writer.value(layer.input(2))
        if found is None or found.size != 1:
            raise layer.wrong("pads with a value that is no constant number")
        value = float(found.reshape(-1)[0])
    ops.pad(layer.writer, layer.input(0), layer.output, _pairs(layer), "constant", value)


def _mirror_pad(layer: Layer) -> None:
    """REFLECT leaves the border cell out, as ONNX's reflect; SYMMETRIC repeats it, as edge does for one
    cell; for more the picture's own rows are turned round and joined to it."""
    pairs, symmetric = _pairs(layer), layer.option(0, layout="b") == 1
    limits = [size - (not symmetric) for size in layer.shape(0)]
    if any(max(pair) > limit for pair, limit in zip(pairs, limits, strict=True)):
        raise layer.wrong(f"mirrors {pairs} of {list(layer.shape(0))}")
    if not symmetric or max(map(max, pairs)) <= 1:
        ops.pad(layer.writer, layer.input(0), layer.output, pairs, "edge" if symmetric else "reflect")
        return
    data, padded = layer.input(0), [axis for axis, pair in enumerate(pairs) if max(pair)]
    for axis in padded:
        between = layer.alias(layer.writer.scratch(f"{layer.output}_{axis}"), data)
        output = layer.output if axis == padded[-1] else between
        _mirrored(layer, data, output, axis, pairs[axis])
        data = output


def _mirrored(layer: Layer, data: str, output: str, axis: int, pair: tuple[int, int]) -> None:
    w = layer.writer
    size = w.shape(data)[axis]
    parts = [data]
    if pair[0]:
        parts.insert(0, _turned(layer, data, axis, pair[0] - 1, pair[0]))
    if pair[1]:
        parts.append(_turned(layer, data, axis, size - 1, pair[1]))
    ops.along(w, "Concat", parts, [output], axis)


def _turned(layer: Layer, data: str, axis: int, start: int, count: int) -> str:
    """`count` cells of `axis` from `start` downwards."""
    shape = layer.writer.shape(data)
    starts, ends, steps = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], ends[axis], steps[axis] = start, start - count, -1
    if ends[axis] < 0:
        ends[axis] = -shape[axis] - 1  # ONNX's name for before the first
    name = layer.alias(layer.writer.scratch(f"{layer.output}_turned"), data)
    ops.cut(layer.writer, data, name, starts, ends, steps)
    return name


def _reverse(layer: Layer) -> None:
    shape = layer.shape(0)
    axes = layer.axes(layer.ints(1), len(shape))
    starts = [size - 1 if axis in axes else 0 for axis, size in enumerate(shape)]
    ends = [-size - 1 if axis in axes else size for axis, size in enumerate(shape)]
    steps = [-1 if axis in axes else 1 for axis in range(len(shape))]
    ops.cut(layer.writer, layer.input(0), layer.output, starts, ends, steps)


def _concatenation(layer: Layer) -> None:
    """Constants of no elements add nothing."""
    axis = layer.axis(layer.option(0), layer.rank(0))
    names = [name for name in layer.inputs() if 0 not in layer.writer.shape(name)]
    if not names:
        raise layer.wrong("joins nothing")
    layer.at_one_scale([*names, layer.output], ("int16",))

    def write(output: str) -> None:
        ops.along(layer.writer, "Concat", names, [output], axis)

    layer.activated(layer.option(1, layout="b"), write)


def _slice(layer: Layer) -> None:
    """Begin and size of each axis; a size of -1 reaches to the end."""
    shape, begins, sizes = layer.shape(0), layer.ints(1), layer.ints(2)
    if not len(begins) == len(sizes) == len(shape):
        raise layer.wrong(f"begins at {begins}, takes {sizes} of {list(shape)}")
    ends = [n if size == -1 else at + size for at, size, n in zip(begins, sizes, shape, strict=True)]
    if any(not 0 <= at < end <= n for at, end, n in zip(begins, ends, shape, strict=True)):
        raise layer.wrong(f"begins at {begins}, takes {sizes} of {list(shape)}")
    ops.cut(layer.writer, layer.input(0), layer.output, begins, ends, [1] * len(shape))


def _split(layer: Layer, data: int, axis: int, sizes: int | None) -> None:
    """SPLIT into equal parts; SPLIT_V into sizes, of which one may be -1."""
    where = layer.axis(layer.one(axis), layer.rank(data))
    whole, outputs = layer.shape(data)[where], layer.outputs
    if sizes is None:
        parts = [whole // len(outputs)] * len(outputs)
    else:
        parts = layer.ints(sizes)
        rest = whole - sum(size for size in parts if size != -1)
        parts = [rest if size == -1 else size for size in parts]
    if len(parts) != len(outputs) or min(parts) < 1 or sum(parts) != whole:
        raise layer.wrong(f"splits {whole} into {parts} for {len(outputs)} outputs")
    ops.split(layer.writer, layer.input(data), outputs, where, parts)


def _pack(layer: Layer) -> None:
    w, axis = layer.writer, layer.axis(layer.option(1), layer.rank(0) + 1)
    wide = []
    for name in layer.inputs():
        wide.append(layer.alias(w.scratch(f"{name}_wide"), name))
        ops.expand(w, name, wide[-1], axis)
    ops.along(w, "Concat", wide, [layer.output], axis)


def _unpack(layer: Layer) -> None:
    w, axis = layer.writer, layer.axis(layer.option(1), layer.rank(0))
    if layer.shape(0)[axis] != len(layer.outputs):
        raise layer.wrong(f"takes {len(layer.outputs)} parts of {list(layer.shape(0))} along axis {axis}")
    wide = [layer.alias(w.scratch(f"{name}_wide"), layer.input(0)) for name in layer.outputs]
    ops.split(w, layer.input(0), wide, axis, [1] * len(wide))
    for name, part in zip(layer.outputs, wide, strict=True):
        ops.squeeze(w, part, name, [axis])


def _tile(layer: Layer) -> None:
    repeats = layer.ints(1)
    if len(repeats) != layer.rank(0) or min(repeats, default=1) < 1:
        raise layer.wrong(f"repeats {list(layer.shape(0))} {repeats} times")
    ops.tile(layer.writer, layer.input(0), layer.output, repeats)


def _broadcast(layer: Layer) -> None:
    ops.broadcast(layer.writer, layer.input(0), layer.output, tuple(layer.ints(1)))


def _blocks(layer: Layer, op: str, mode: str = "") -> None:
    """Blocks of cells to channels and back; TFLite's order of the channels is ONNX's (DCR)."""
    attributes: dict[str, Attribute] = {"blocksize": layer.option(0)}
    if mode:
        attributes["mode"] = mode
    if layer.rank(0) != 4 or not 0 < layer.option(0) < 2**16:
        raise layer.wrong(f"has blocks of {layer.option(0)} in {list(layer.shape(0))}")
    ops.spatial(layer.writer, op, layer.input(0), [], layer.output, attributes)


RULES: Mapping[str, Rule] = {
    "BROADCAST_TO": _broadcast,
    "CONCATENATION": _concatenation,
    "DEPTH_TO_SPACE": partial(_blocks, op="DepthToSpace", mode="DCR"),
    "EXPAND_DIMS": _expand,
    "MIRROR_PAD": _mirror_pad,
    "PACK": _pack,
    "PAD": _pad,
    "PADV2": _pad,
    "RESHAPE": _reshape,
    "REVERSE_V2": _reverse,
    "SLICE": _slice,
    "SPACE_TO_DEPTH": partial(_blocks, op="SpaceToDepth"),
    "SPLIT": partial(_split, data=1, axis=0, sizes=None),
    "SPLIT_V": partial(_split, data=0, axis=2, sizes=1),
    "SQUEEZE": _squeeze,
    "TILE": _tile,
    "TRANSPOSE": _transpose,
    "UNPACK": _unpack,
}
