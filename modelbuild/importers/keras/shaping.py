"""Layers that move, add or take away numbers: Flatten, Reshape, Permute, paddings, croppings, UpSampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from modelbuild.graph.model import Attribute
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.keras.call import Call

_NEAREST: dict[str, Attribute] = {
    "mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"
}  # fmt: skip
_BILINEAR: dict[str, Attribute] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
_NEAREST_CENTRES: dict[str, Attribute] = {
    "mode": "nearest", "nearest_mode": "round_prefer_ceil", "coordinate_transformation_mode": "half_pixel"
}  # fmt: skip


def gone(call: Call) -> None:
    """A layer that works in training alone."""
    ops.elementwise(call.writer, "Identity", [call.input], call.output)


def flatten(call: Call) -> None:
    """Flatten, in the order of channels-last data whatever the layout (Keras does so too)."""
    shape, data = call.shape(), call.input
    if call.channels_first and len(shape) > 2:
        data = call.scratch("channels_last")
        ops.transpose(call.writer, call.input, data, [0, *range(2, len(shape)), 1])
    ops.reshape(call.writer, data, call.output, (shape[0], math.prod(shape[1:])))


def reshape(call: Call) -> None:
    """Reshape of each sample; -1 is what is left."""
    shape, target = call.shape(), call.setting("target_shape")
    fits = isinstance(target, list) and all(type(n) is int and (n > 0 or n == -1) for n in target)
    total = math.prod(shape[1:])
    if not fits or target.count(-1) > 1 or len(target) > 8:
        call.fail(f"has `target_shape: {str(target)[:60]}`")
    known = math.prod(size for size in target if size != -1)
    sizes = [total // known if size == -1 else size for size in target]
    if math.prod(sizes) != total:
        call.fail(f"makes {target} of {list(shape[1:])}", why="the number of values differs")
    ops.reshape(call.writer, call.input, call.output, (shape[0], *sizes))


def permute(call: Call) -> None:
    """Permute the axes of each sample, which count from 1."""
    rank, dims = len(call.shape()), call.setting("dims")
    if not isinstance(dims, list) or sorted(map(str, dims)) != sorted(map(str, range(1, rank))):
        call.fail(f"has `dims: {str(dims)[:60]}` for {rank - 1} axes")
    ops.transpose(call.writer, call.input, call.output, [0, *dims])


def repeat_vector(call: Call) -> None:
    """RepeatVector: [N, C] -> [N, n, C]."""
    if len(call.shape()) != 2:
        call.fail(f"needs rows, not {list(call.shape())}")
    wide = call.scratch("wide")
    ops.expand(call.writer, call.input, wide, 1)
    ops.tile(call.writer, wide, call.output, [1, call.integer("n"), 1])


def padding(axes: int) -> Callable[[Call], None]:
    """ZeroPadding1D, 2D and 3D."""

    def translate(call: Call) -> None:
        call.spatial_shape(axes + 2)
        ops.pad(call.writer, call.input, call.output, _around(call, "padding", axes, 1, (0, 0)))

    return translate


def cropping(axes: int) -> Callable[[Call], None]:
    """Cropping1D, 2D and 3D."""

    def translate(call: Call) -> None:
        call.spatial_shape(axes + 2)
        shape, amounts = call.shape(), _around(call, "cropping", axes, 1 if axes == 1 else 0, (0, 0))
        if any(before + after >= size for (before, after), size in zip(amounts, shape, strict=True)):
            call.fail(f"takes all of {list(shape)} away")
        starts = [before for before, _ in amounts]
        ends = [size - after for (_, after), size in zip(amounts, shape, strict=True)]
        ops.cut(call.writer, call.input, call.output, starts, ends, [1] * len(shape))

    return translate


def _around(call: Call, name: str, axes: int, default: int, none: tuple[int, int]) -> list[tuple[int, int]]:
    """(before, after) of every axis of the input: a number, one an axis, or a pair an axis."""
    value = call.setting(name, default)
    if axes == 1 and isinstance(value, list) and len(value) == 2 and not isinstance(value[0], list):
        value = [value]
    values = list(value) if isinstance(value, list) else [value] * axes
    pairs = [tuple(item) if isinstance(item, list) else (item, item) for item in values]
    right = all(len(pair) == 2 and all(type(n) is int and 0 <= n < 2**16 for n in pair) for pair in pairs)
    if len(pairs) != axes or not right:
        call.fail(f"has `{name}: {str(value)[:60]}`")
    first = 2 if call.channels_first else 1
    result = [none] * len(call.shape())
    result[first : first + axes] = [(int(before), int(after)) for before, after in pairs]
    return result


def upsampling(axes: int) -> Callable[[Call], None]:
    """UpSampling1D, 2D and 3D: nearest, or bilinear with the pixels' centres as the grid."""

    def translate(call: Call) -> None:
        sizes, factors = call.spatial_shape(axes + 2), call.integers("size", axes, 2)
        kind = call.word("interpolation", "nearest", ("nearest", "bilinear"))
        wanted = [size * factor for size, factor in zip(sizes, factors, strict=True)]
        _resize(call, call.input, call.output, wanted, _NEAREST if kind == "nearest" else _BILINEAR)

    return translate


def resizing(call: Call) -> None:
    """Resizing to a fixed size."""
    call.spatial_shape(4)
    kind = call.word("interpolation", "bilinear", ("nearest", "bilinear"))
    if any(call.flag(name, False) for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")):
        call.fail(
            "crops, pads or smooths", advice="prepare pictures with `preprocess:` and cut this layer off"
        )
    sizes, dtype = [call.integer("height"), call.integer("width")], call.writer.dtype(call.input)
    attributes = _NEAREST_CENTRES if kind == "nearest" else _BILINEAR
    if dtype.kind not in "iu":
        _resize(call, call.input, call.output, sizes, attributes)
        return
    resized = call.output if call.version < 3 else call.scratch("resized")
    _resize(call, call.floats(), resized, sizes, attributes)
    if call.version >= 3:
        _rounded(call, resized, dtype)


def _rounded(call: Call, data: str, dtype: np.dtype[Any]) -> None:
    """The layer's output of integers, as Keras 3 gives it: to the nearest, ties to even, saturated. Keras 2
    gave floats."""
    limits = np.iinfo(dtype)
    limited = call.scratch("limited")
    low, high = float(limits.min), float(np.nextafter(np.float32(limits.max), np.float32(0)))
    high = float(limits.max) if limits.bits <= 16 else high  # the largest float32 that the type holds
    ops.clip(call.writer, call.elementwise("Round", [data]), limited, low, high)
    code: dict[str, Attribute] = {"to": int(helper.np_dtype_to_tensor_dtype(dtype))}
    ops.elementwise(call.writer, "Cast", [limited], call.output, code)


def _resize(call: Call, data: str, output: str, sizes: list[int], attributes: dict[str, Attribute]) -> None:
    target = call.writer.integers(f"{call.output}_sizes", [call.shape()[0], call.channels(), *sizes])
    call.spatial("Resize", data, ["", "", target], output, attributes)
