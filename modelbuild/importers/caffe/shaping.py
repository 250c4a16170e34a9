"""Layers that move numbers without changing them: Concat, Slice, Reshape, Permute, Crop, Resize-like ones."""

from __future__ import annotations

import itertools
import math

import numpy as np

from modelbuild.graph.model import Attribute
from modelbuild.importers.caffe.context import Context

_MANY = 1000
_FLOAT = 1  # TensorProto.FLOAT


def concat(context: Context) -> None:
    """Concat along `axis`, in older files `concat_dim`."""
    context.expect((1, _MANY))
    context.finish("Concat", context.step.inputs, {"axis": _axis(context, "concat_dim")})


def slices(context: Context) -> None:
    """Slice at the `slice_point`s, or into equal parts."""
    context.expect(1, max(1, len(context.step.outputs)))
    axis, count = _axis(context, "slice_dim"), len(context.step.outputs)
    size, points = context.shape()[axis], context.parameters.integers("slice_point")
    if not points and size % count == 0:
        points = [size // count * index for index in range(1, count)]
    borders = [0, *points, size]
    sizes = [after - before for before, after in itertools.pairwise(borders)]
    if len(sizes) != count or min(sizes) < 1:
        context.fail(f"cuts {size} at {points} into {count} tops")
    if count == 1:
        context.finish("Identity", [context.input])
    else:
        context.finish("Split", [context.input, context.integers("sizes", sizes)], {"axis": axis})


def _axis(context: Context, older: str) -> int:
    return context.axis(older if context.parameters.has(older) else "axis", 1)


def flatten(context: Context) -> None:
    """Flatten the axes from `axis` to `end_axis` into one."""
    context.expect(1)
    given = context.shape()
    first, last = context.axis("axis", 1), context.axis("end_axis", -1)
    if first > last:
        context.fail(f"flattens from axis {first} to axis {last}")
    if first == 1 and last == len(given) - 1:
        context.finish("Flatten", [context.input], {"axis": 1})
    else:
        _reshape(context, [*given[:first], math.prod(given[first : last + 1]), *given[last + 1 :]])


def reshape(context: Context) -> None:
    """Reshape the axes from `axis` on (`num_axes` of them): 0 copies a size, -1 is what is left."""
    context.expect(1)
    given, parameters = context.shape(), context.parameters
    dims = parameters.message("shape").integers("dim")
    first, count = context.axis("axis", 0, extra=1), parameters.integer("num_axes", -1)
    last = len(given) if count == -1 else first + count
    if count < -1 or last > len(given) or dims.count(-1) > 1 or (dims and min(dims) < -1):
        context.fail(f"has the shape {dims} for {count} axes from {first} on of {list(given)}")
    covered = given[first:last]
    if any(size == 0 and index >= len(covered) for index, size in enumerate(dims)):
        context.fail(f"copies an axis with 0 that {list(covered)} does not have")
    sizes = [covered[index] if size == 0 else size for index, size in enumerate(dims)]
    known = math.prod(size for size in sizes if size != -1)
    total = math.prod(covered)
    if -1 in sizes and total % known == 0:
        sizes[sizes.index(-1)] = total // known
    if math.prod(sizes) != total:
        context.fail(f"makes {dims} of {list(covered)}", why="the number of values differs")
    _reshape(context, [*given[:first], *sizes, *given[last:]])


def _reshape(context: Context, shape: list[int]) -> None:
    context.finish("Reshape", [context.input, context.integers("shape", shape)])


def permute(context: Context) -> None:
    """Permute: `order`, then the axes that it leaves out."""
    context.expect(1)
    rank, order = len(context.shape()), context.parameters.integers("order")
    if len(set(order)) != len(order) or not set(order) <= set(range(rank)):
        context.fail(f"has the order {order} for {rank} axes")
    perm = [*order, *(axis for axis in range(rank) if axis not in order)]
    context.finish("Transpose", [context.input], {"perm": perm})


def softmax(context: Context) -> None:
    """Softmax along `axis`."""
    context.expect(1)
    context.finish("Softmax", [context.input], {"axis": context.axis("axis", 1)})


def tile(context: Context) -> None:
    """Tile: `tiles` copies along `axis`."""
    context.expect(1)
    axis, tiles = context.axis("axis", 1), context.parameters.integer("tiles", 0)
    if tiles < 1:
        context.fail(f"makes {tiles} copies")
    repeats = [tiles if index == axis else 1 for index in range(len(context.shape()))]
    context.finish("Tile", [context.input, context.integers("repeats", repeats)])


def crop(context: Context) -> None:
    """Crop the first bottom to the size of the second from `axis` on, beginning at `offset`."""
    context.expect(2)
    given, wanted = context.shape(), context.shape(context.step.inputs[1])
    axis, offsets = context.axis("axis", 2), context.parameters.integers("offset") or [0]
    axes = list(range(axis, len(given)))
    if len(offsets) == 1:
        offsets = offsets * len(axes)
    if len(offsets) != len(axes) or len(wanted) != len(given):
        context.fail(f"has {len(offsets)} offsets for {len(axes)} axes of {list(given)}, and {list(wanted)}")
    ends = [offset + wanted[a] for offset, a in zip(offsets, axes, strict=True)]
    if min(offsets) < 0 or any(end > given[a] for end, a in zip(ends, axes, strict=True)):
        context.fail(f"takes {list(wanted)} at {offsets} out of {list(given)}")
    inputs = [context.integers(*item) for item in (("starts", offsets), ("ends", ends), ("axes", axes))]
    context.finish("Slice", [context.input, *inputs])


def shuffle_channels(context: Context) -> None:
    """ShuffleChannel: groups and the channels in them change places."""
    context.expect(1)
    given, group = context.shape(), context.parameters.integer("group", 1)
    if group < 1 or len(given) < 2 or given[1] % group:
        context.fail(f"has {group} groups of {list(given)}")
    split = context.reshape(context.input, [given[0], group, given[1] // group, *given[2:]])
    perm = [0, 2, 1, *range(3, len(given) + 1)]
    _reshape_of(context, context.emit("Transpose", [split], {"perm": perm}), given)


def reorganise(context: Context) -> None:
    """Reorg of YOLOv2, with darknet's own order of the numbers (darknet, reorg_cpu)."""
    context.expect(1)
    given, step = context.shape(), context.parameters.integer("stride", 2)
    if context.parameters.boolean("reverse", False):
        context.fail("goes backwards (`reverse: true`)", advice="cut the model before it")
    if len(given) != 4 or step < 1 or given[1] % step**2 or given[2] % step or given[3] % step:
        context.fail(f"has the stride {step} on {list(given)}")
    batch, channels, height, width = given
    split = context.reshape(context.input, [batch, channels // step**2, height, step, width, step])
    moved = context.emit("Transpose", [split], {"perm": [0, 3, 5, 1, 2, 4]})
    _reshape_of(context, moved, [batch, channels * step**2, height // step, width // step])


def _reshape_of(context: Context, tensor: str, shape: list[int] | tuple[int, ...]) -> None:
    context.finish("Reshape", [tensor, context.integers("shape", shape)])


def upsample(context: Context) -> None:
    """Upsample of the YOLO forks: each number `scale` times along height and width."""
    if len(context.step.inputs) > 1:
        context.fail("puts numbers where a pool took them from", advice="cut the model before it")
    context.expect(1)
    given, factor = context.shape(), context.parameters.integer("scale", 2)
    factors = [context.parameters.integer(f"scale_{axis}", factor) for axis in "hw"]
    if len(given) != 4 or not all(1 <= factor <= 64 for factor in factors):
        context.fail(f"has the scales {factors} on {list(given)}")
    sizes = context.integers("sizes", [*given[:2], given[2] * factors[0], given[3] * factors[1]])
    attributes: dict[str, Attribute] = {"mode": "nearest", "nearest_mode": "floor"}
    attributes["coordinate_transformation_mode"] = "asymmetric"
    context.finish("Resize", [context.input, "", "", sizes], attributes)


def interpolate(context: Context) -> None:
    """Interp of DeepLab: bilinear, the corners' centres fixed; to a size, or by zoom and shrink."""
    context.expect((1, 2))
    given, parameters = context.shape(), context.parameters
    if len(given) != 4:
        context.fail(f"needs an input of 4 axes, not {list(given)}")
    before, after = parameters.integer("pad_beg", 0), parameters.integer("pad_end", 0)
    if max(before, after) > 0 or -before - after >= min(given[2:]):
        context.fail(f"pads by {before} and {after}", why="this padding only takes away")
    kept = [size + before + after for size in given[2:]]
    sizes = _interpolated(context, kept)
    if min(sizes) < 1:
        context.fail(f"makes {sizes} of {list(given)}")
    source = context.input
    if before or after:
        ends = [size + after for size in given[2:]]
        cut = (("starts", [-before] * 2), ("ends", ends), ("axes", [2, 3]))
        source = context.emit("Slice", [source, *(context.integers(*item) for item in cut)])
    attributes: dict[str, Attribute] = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    wanted = context.integers("sizes", [*given[:2], *sizes])
    context.finish("Resize", [source, "", "", wanted], attributes)


def _interpolated(context: Context, given: list[int]) -> list[int]:
    parameters = context.parameters
    shrink, zoom = parameters.integer("shrink_factor", 1), parameters.integer("zoom_factor", 1)
    height, width = parameters.integer("height", 0), parameters.integer("width", 0)
    if len(context.step.inputs) == 2:
        return list(context.shape(context.step.inputs[1])[2:4])
    if height or width:
        return [height, width]
    if not 1 <= shrink <= 1024 or not 1 <= zoom <= 1024:
        context.fail(f"shrinks by {shrink} and zooms by {zoom}")
    shrunk = [(size - 1) // shrink + 1 for size in given]
    return [size + (size - 1) * (zoom - 1) for size in shrunk]


def arg_max(context: Context) -> None:
    """ArgMax along `axis`, or over each sample: the place, the value, or both; the last one of equals."""
    context.expect(1)
    given, parameters = context.shape(), context.parameters
    if parameters.integer("top_k", 1) != 1:
        context.fail("keeps more than the largest (`top_k`)", advice="cut the model before it")
    values = parameters.boolean("out_max_val", False)
    if parameters.has("axis"):
        axis, data, both = context.axis("axis", 0), context.input, False
    else:
        axis, both = 1, values
        rest = [1] * max(len(given) - 2, 1)
        data = context.reshape(context.input, [given[0], math.prod(given[1:]), *rest])
    found: list[str] = []
    if not values or both:
        attributes: dict[str, Attribute] = {"axis": axis, "keepdims": 1, "select_last_index": 1}
        found.append(context.emit("Cast", [context.emit("ArgMax", [data], attributes)], {"to": _FLOAT}))
    if values:
        found.append(context.emit("ReduceMax", [data], {"axes": [axis], "keepdims": 1}))
    context.finish("Concat", found, {"axis": 1}) if both else context.finish("Identity", found)


def reduction(context: Context) -> None:
    """Reduction of the axes from `axis` on: SUM, ASUM, SUMSQ or MEAN, times `coeff`."""
    context.expect(1)
    given, first = context.shape(), context.axis("axis", 0)
    op = _REDUCTIONS[context.parameters.choice("operation", tuple(_REDUCTIONS))]
    coefficient = context.parameters.real("coeff", 1.0)
    rows = context.reshape(context.input, [*given[:first], math.prod(given[first:])])
    inputs, attributes = [rows], dict[str, Attribute]({"keepdims": 0})
    if op == "ReduceSum":
        inputs.append(context.integers("axes", [first]))
    else:
        attributes["axes"] = [first]
    reduced = context.emit(op, inputs, attributes)
    context.finish("Mul", [reduced, context.constant("coeff", np.float32(coefficient))])


_REDUCTIONS = {
    "NONE": "ReduceSum",
    "SUM": "ReduceSum",
    "ASUM": "ReduceL1",
    "SUMSQ": "ReduceSumSquare",
    "MEAN": "ReduceMean",
}
