"""The output's shape of each operator, and what its parameters and constants must satisfy to have one."""

from __future__ import annotations

import math

import numpy as np

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.distinct import distinct
from modelbuild.arithmetic.pooling import window_cells, window_is_hollow
from modelbuild.arithmetic.windows import Window, window_of

Shape = tuple[int, ...]
LINEAR_ONE = 1 << 11
SEGMENT_BITS = (4, 14)  # of a curve: the least and the most
CURVE_SHIFT = 12  # fractional bits of its constants
SOFTMAX_SHIFT = 30  # of the two factors of an exponential, and of their product
MOST_CELLS = 1 << 28  # a quarter of a gigabyte of bytes: far above any feature map of an edge model


class Misfit(ValueError):
    """Parameters, constants and shapes of an operator do not go together; the text says how."""


def need(condition: bool, text: str) -> None:
    """Raise `Misfit(text)` unless the condition holds."""
    if not condition:
        raise Misfit(text)


def same(bound: Bound) -> Shape:
    """The input's shape."""
    return bound.inputs[0].shape


def broadcast(bound: Bound) -> Shape:
    """Both inputs' shapes, broadcast as numpy does."""
    try:
        return np.broadcast_shapes(*(tensor.shape for tensor in bound.inputs))
    except ValueError:
        raise Misfit("the shapes of the inputs do not broadcast") from None


def picture(bound: Bound, kernel: Shape, names: str) -> tuple[Window, Shape]:
    """The window of an operator on x [N, C, H, W], its lists measured first."""
    lengths = {"strides": 2, "pads": 4, "dilations": 2, "kernel": 2}
    need(len(bound.inputs[0].shape) == 4, "the input must have four axes")
    for name in names.split():
        values = bound.numbers(name)
        need(len(values) == lengths[name], f"{name} must hold {lengths[name]} numbers")
        least = 0 if name == "pads" else 1
        need(all(least <= value <= 1 << 20 for value in values), f"{name} must be {least} or more")
    window = window_of(bound, kernel)
    need(min(window.out) > 0, "the window is larger than the padded picture")
    _, channels, height, width = bound.inputs[0].shape
    top, left, bottom, right = window.pads
    cells = channels * (top + height + bottom) * (left + width + right)
    need(cells < MOST_CELLS, "the padded picture is too large")
    return window, bound.inputs[0].shape


def rows_of(bound: Bound, count: int, roles: str) -> None:
    for role in roles.split():
        need(bound.constant(role).shape == (count,), f"the constant {role} must have {count} entries")


def conv(bound: Bound) -> Shape:
    """[N, O, H', W']."""
    outputs, channels, *kernel = bound.constant("weight").shape
    window, shape = picture(bound, tuple(kernel), "strides pads dilations")
    group = bound.number("group")
    need(group > 0 and outputs % group == 0, "the outputs do not divide into the groups")
    need(channels * group == shape[1], f"the weights are for {channels * group} channels, not {shape[1]}")
    rows_of(bound, outputs, "bias multiplier shift")
    return shape[0], outputs, *window.out


def gemm(bound: Bound) -> Shape:
    """[N, O]."""
    outputs, depth = bound.constant("weight").shape
    shape = bound.inputs[0].shape
    need(len(shape) == 2 and shape[1] == depth, f"the input must be [N, {depth}]")
    rows_of(bound, outputs, "bias multiplier shift")
    return shape[0], outputs


def matmul(bound: Bound) -> Shape:
    """[..., I, J]."""
    a, b = (tensor.shape for tensor in bound.inputs)
    need(len(a) >= 2 and len(b) >= 2 and a[-1] == b[-2], "the inputs' inner axes must agree")
    try:
        return *np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1]
    except ValueError:
        raise Misfit("the inputs' leading axes do not broadcast") from None


def prelu(bound: Bound) -> Shape:
    """The input's shape; one slope a channel."""
    shape = bound.inputs[0].shape
    need(len(shape) >= 2, "the input must have a channel axis")
    rows_of(bound, shape[1], "negative_multiplier negative_shift")
    return shape


def table(bound: Bound) -> Shape:
    """The input's shape; 256 entries that the output can hold."""
    entries, output = bound.constant("table"), bound.output
    need(bound.inputs[0].bits == 8, "the input must have 8 bits")
    need(entries.shape == (256,), "a table has 256 entries")
    need(bound.number("input_low") == bound.inputs[0].low, "input_low must be the input's smallest integer")
    inside = int(entries.min()) >= output.low and int(entries.max()) <= output.high
    need(inside, "the table holds numbers that the output cannot")
    return bound.inputs[0].shape


def curve(bound: Bound) -> Shape:
    """The input's shape; a segment for every integer that the input can hold, and none besides."""
    x, start, bits = bound.inputs[0], bound.number("start"), bound.number("segment_bits")
    need(x.bits == 16, "the input must have 16 bits")
    need(SEGMENT_BITS[0] <= bits <= SEGMENT_BITS[1], "segment_bits must be {}...{}".format(*SEGMENT_BITS))
    need(x.low - (1 << bits) < start <= x.low, "the first segment must hold the input's smallest integer")
    rows_of(bound, ((x.high - start) >> bits) + 1, "value slope bend")
    return x.shape


def softmax(bound: Bound) -> Shape:
    """The input's shape; exponentials in 0...2^23, or of 16 bits two tables in 0...2^30 whose products they
    are; that of 0 above 0."""
    entries, x = bound.constant("table"), bound.inputs[0]
    count, largest = (512, 30) if x.bits > 8 else (256, 23)
    need(entries.shape == (count,), f"the table of {x.bits} bits has {count} entries")
    inside = int(entries.min()) >= 0 and int(entries.max()) <= 1 << largest
    need(inside, f"exponentials lie in 0...2^{largest}")
    first = int(entries[0]) if x.bits == 8 else int(entries[0]) * int(entries[256]) >> (SOFTMAX_SHIFT - 1)
    need(first > 0, "the exponential of 0 must be above 0")
    shape = x.shape
    need(0 < bound.number("one") < 1 << 16, "`one` must be above 0 and below 2^16")
    axis_of(bound, len(shape))
    return shape


def pool(bound: Bound) -> Shape:
    """[N, C, H', W']; every window meets the picture."""
    names = "kernel strides pads" + (" dilations" if "dilations" in bound.operator.parameters else "")
    window, shape = picture(bound, bound.numbers("kernel"), names)
    for axis in range(2):
        pads = window.pads[axis], window.pads[axis + 2]
        sides = window.kernel[axis], window.strides[axis]
        hollow = window_is_hollow(shape[2 + axis], *sides, pads, window.dilations[axis])
        need(not hollow, "a window lies wholly in the padding")
    return shape[0], shape[1], *window.out


def average_pool(bound: Bound) -> Shape:
    """[N, C, H', W']; a row of constants for every number of cells."""
    shape = pool(bound)
    counts = bound.constant("count")
    rows_of(bound, len(counts), "multiplier shift")
    need(bool((np.diff(counts.astype(np.int64)) > 0).all()), "the counts must ascend")
    include = bound.number("count_include_pad")
    cells = window_cells(window_of(bound, bound.numbers("kernel")), bound.inputs[0].shape[-2:], bool(include))
    missing = sorted({int(cell) for cell in distinct(cells)} - {int(count) for count in counts})
    need(not missing, f"no row of constants for windows of {missing} cells")
    return shape


def reduced(bound: Bound) -> Shape:
    """The input's shape without `axes`, or with 1 there."""
    shape, axes, keep = bound.inputs[0].shape, bound.numbers("axes"), bound.number("keepdims")
    need(len(set(axes)) == len(axes) > 0, "axes must name at least one axis, each once")
    need(all(0 <= axis < len(shape) for axis in axes), "an axis is out of range")
    if keep:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def axis_of(bound: Bound, rank: int) -> int:
    axis = bound.number("axis")
    need(0 <= axis < rank, "axis is out of range")
    return axis


def concat(bound: Bound) -> Shape:
    """The inputs side by side along `axis`, each rescaled."""
    for name in ("input_zeros", "multipliers", "shifts"):
        need(len(bound.numbers(name)) == len(bound.inputs), f"{name} must have one number an input")
    return side_by_side(bound)


def side_by_side(bound: Bound) -> Shape:
    """The inputs one behind the other along `axis`."""
    shapes = [tensor.shape for tensor in bound.inputs]
    axis = axis_of(bound, len(shapes[0]))
    need(len({len(shape) for shape in shapes}) == 1, "the inputs have different numbers of axes")
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    need(len(others) == 1, "the inputs differ beside the axis")
    return *shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :]


def reshape(bound: Bound) -> Shape:
    """`shape`, with as many cells as the input."""
    shape = bound.numbers("shape")
    need(math.prod(shape) == math.prod(bound.inputs[0].shape), "the number of cells must stay")
    return shape


def transpose(bound: Bound) -> Shape:
    """The axes in the order of `perm`."""
    return permuted(bound, "perm")


def permuted(bound: Bound, name: str) -> Shape:
    """The input's axes in the order of the parameter `name`."""
    order, shape = bound.numbers(name), bound.inputs[0].shape
    need(sorted(order) == list(range(len(shape))), f"{name} must name every axis once")
    return tuple(shape[axis] for axis in order)


def slice_axes(bound: Bound) -> Shape:
    """The parts along every axis."""
    shape = bound.inputs[0].shape
    lists = [bound.numbers(name) for name in ("starts", "ends", "steps")]
    need(all(len(values) == len(shape) for values in lists), "starts, ends and steps: one an axis")
    for size, start, end, step in zip(shape, *lists, strict=True):
        need(0 <= start < end <= size and step > 0, "need 0 <= start < end <= size and step > 0")
    return tuple(len(range(*part)) for part in zip(*lists, strict=True))


def pad(bound: Bound) -> Shape:
    """The input with `before` and `after` added along every axis."""
    shape, before, after = bound.inputs[0].shape, bound.numbers("before"), bound.numbers("after")
    need(len(before) == len(after) == len(shape), "before and after: one an axis")
    need(all(0 <= width <= 1 << 20 for width in before + after), "pads must be 0 or more")
    need(bound.output.low <= bound.number("value") <= bound.output.high, "`value` does not fit the tensor")
    return tuple(sum(sizes) for sizes in zip(before, shape, after, strict=True))


def gather(bound: Bound) -> Shape:
    """As many slabs along `axis` as there are indices."""
    shape, indices = bound.inputs[0].shape, bound.constant("indices")
    axis = axis_of(bound, len(shape))
    need(indices.size > 0, "there must be an index")
    need(int(indices.min()) >= 0 and int(indices.max()) < shape[axis], "an index is out of range")
    return *shape[:axis], len(indices), *shape[axis + 1 :]


def resize_linear(bound: Bound) -> Shape:
    """[N, C, H', W']; weights >= 0 that sum to 2^11."""
    shape = bound.inputs[0].shape
    need(len(shape) == 4, "the input must have four axes")
    for axis, (places, weights) in enumerate((("rows", "row_weights"), ("columns", "column_weights"))):
        at, shares = bound.constant(places), bound.constant(weights).astype(np.int64)
        need(at.shape == shares.shape and at.shape[1] == 2, f"{places} and {weights} must be [n, 2]")
        need(at.size > 0 and int(at.min()) >= 0, f"{places} are out of range")
        need(int(at.max()) < shape[2 + axis], f"{places} are out of range")
        whole = bool((shares.sum(axis=1) == LINEAR_ONE).all()) and int(shares.min()) >= 0
        need(whole, f"{weights} must be 0 or more and sum to 2^11")
    return shape[0], shape[1], len(bound.constant("rows")), len(bound.constant("columns"))
