"""The output's shape of each operator of `kpu@1`, and what its parameters and constants must satisfy."""

from __future__ import annotations

import math

import numpy as np

from modelbuild.arithmetic import operator_shapes
from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.kpu.pools import STRIDES
from modelbuild.arithmetic.operator_shapes import Misfit, axis_of, need, picture, rows_of

Shape = tuple[int, ...]
SEGMENTS = 16
PAD_MODES = ("constant", "reflect", "symmetric", "edge")


def kpu_conv(bound: Bound) -> Shape:
    """[N, O, H / stride, W / stride] with the stride of the pool, rounded down."""
    shape, kernel, weight = bound.inputs[0].shape, bound.number("kernel"), bound.constant("weight")
    need(len(shape) == 4, "the input must have four axes")
    need(kernel in (1, 3), "the kernel must be 1 or 3")
    need(weight.shape[2:] == (kernel, kernel), f"the weights must end in [{kernel}, {kernel}]")
    channels = 1 if bound.number("depthwise") else shape[1]
    need(weight.shape[1] == channels, f"the weights are for {weight.shape[1]} channels, not {channels}")
    if bound.number("depthwise"):
        need(len(weight) == shape[1], f"depthwise from {shape[1]} to {len(weight)} channels")
    rows_of(bound, len(weight), "bn_multiplier bn_add bn_shift")
    rows_of(bound, SEGMENTS, "segment_start segment_multiplier segment_shift segment_add")
    need(bool((np.diff(bound.constant("segment_start")) >= 0).all()), "segment_start must not descend")
    pool = bound.text("pool")
    need(pool in STRIDES, f"the pool {pool!r} is none of {', '.join(STRIDES)}")
    stride = STRIDES[pool]
    need(min(shape[2:]) >= stride, f"the pool {pool} needs a map of {stride}x{stride}")
    return shape[0], len(weight), shape[2] // stride, shape[3] // stride


def same(bound: Bound) -> Shape:
    """The input's shape."""
    return bound.inputs[0].shape


def lookup(bound: Bound) -> Shape:
    """The input's shape; 256 entries."""
    rows_of(bound, 256, "table")
    return bound.inputs[0].shape


def reshape(bound: Bound) -> Shape:
    """The output's shape, which has as many cells as the input."""
    shape = bound.output.shape
    need(math.prod(shape) == math.prod(bound.inputs[0].shape), "the number of cells must stay")
    return shape


def transpose(bound: Bound) -> Shape:
    """The axes in the order of `permutation`."""
    return operator_shapes.permuted(bound, "permutation")


def pad(bound: Bound) -> Shape:
    """The input with `before` and `after` added along every axis."""
    shape, before, after = bound.inputs[0].shape, bound.numbers("before"), bound.numbers("after")
    mode = bound.text("mode")
    need(mode in PAD_MODES, f"the mode {mode!r} is none of {', '.join(PAD_MODES)}")
    need(len(before) == len(after) == len(shape), "before and after: one an axis")
    for size, *widths in zip(shape, before, after, strict=True):
        reach = {"reflect": size - 1, "symmetric": size}.get(mode, 1 << 20)
        need(all(0 <= width <= reach for width in widths), f"pads must lie in 0...{reach}")
    return tuple(sum(sizes) for sizes in zip(before, shape, after, strict=True))


def expand(bound: Bound) -> Shape:
    """The output's shape, to which numpy must be able to spread the input's."""
    shape = bound.output.shape
    try:
        spread = np.broadcast_shapes(bound.inputs[0].shape, shape)
    except ValueError:
        spread = ()
    need(spread == shape, f"{list(bound.inputs[0].shape)} cannot be spread to {list(shape)}")
    return shape


def resize(bound: Bound) -> Shape:
    """[N, C] of the input, and the output's height and width."""
    shape, out = bound.inputs[0].shape, bound.output.shape
    need(len(shape) == len(out) == 4, "input and output must have four axes")
    need(not (bound.number("align_corners") and bound.number("half_pixel")), "corners or half pixels: one")
    return *shape[:2], *out[2:]


def conv(bound: Bound) -> Shape:
    """[N, O, H', W']."""
    outputs, channels, *kernel = bound.constant("weight").shape
    window, shape = picture(bound, tuple(kernel), "strides pads dilations")
    group = bound.number("group")
    need(group > 0 and outputs % group == 0, "the outputs do not divide into the groups")
    need(channels * group == shape[1], f"the weights are for {channels * group} channels, not {shape[1]}")
    rows_of(bound, outputs, "bias")
    return shape[0], outputs, *window.out


def matmul(bound: Bound) -> Shape:
    """[..., M, N]; one bias a column."""
    shape = operator_shapes.matmul(bound)
    batches = {math.prod(tensor.shape[:-2]) for tensor in bound.inputs}
    need(len(batches - {1}) <= 1, "the leading axes must be the same, or those of one input 1")
    rows_of(bound, shape[-1], "bias")
    return shape


def reduced(bound: Bound) -> Shape:
    """The input's shape without `axes`, or with 1 there."""
    shape, axes = bound.inputs[0].shape, bound.numbers("axes")
    need(len(set(axes)) == len(axes) > 0, "axes must name at least one axis, each once")
    need(all(0 <= axis < len(shape) for axis in axes), "an axis is out of range")
    if bound.number("keep"):
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def arg(bound: Bound) -> Shape:
    """The input's shape without `axis`, or with 1 there."""
    shape, axis = bound.inputs[0].shape, bound.number("axis")
    need(0 <= axis < len(shape), "the axis is out of range")
    return (*shape[:axis], *([1] if bound.number("keep") else []), *shape[axis + 1 :])


def topk(bound: Bound) -> Shape:
    """The input's shape with `k` along `axis`."""
    shape, axis, k = bound.inputs[0].shape, bound.number("axis"), bound.number("k")
    need(0 <= axis < len(shape), "the axis is out of range")
    need(1 <= k <= shape[axis], f"k must lie in 1...{shape[axis]}")
    return (*shape[:axis], k, *shape[axis + 1 :])


def softmax(bound: Bound) -> Shape:
    """The input's shape."""
    axis_of(bound, len(bound.inputs[0].shape))
    return bound.inputs[0].shape


def binary(bound: Bound) -> Shape:
    """Both inputs' shapes, broadcast as numpy does."""
    try:
        return np.broadcast_shapes(*(tensor.shape for tensor in bound.inputs))
    except ValueError:
        raise Misfit("the shapes of the inputs do not broadcast") from None
