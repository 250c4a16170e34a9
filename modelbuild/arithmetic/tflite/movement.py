"""Operators that move codes: reshapes, slices, joins, pads; and Resize."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.tflite.call import Call, Codes, Operand
from modelbuild.arithmetic.tflite.elementwise import requantized
from modelbuild.errors import ModelbuildError
from modelbuild.graph.constant_operators import evaluate
from modelbuild.graph.model import Node

# constant_operators computes these on codes as on any numbers.
MOVING = frozenset(
    {"Expand", "Flatten", "Gather", "GatherND", "Reshape", "Slice", "Split", "Squeeze", "Tile"}
    | {"Transpose", "Unsqueeze"}
)
INDEX = frozenset({"ArgMax", "ArgMin"})  # the place of a code is that of its number
_GRIDS = ("half_pixel", "align_corners", "asymmetric")
_FIXED = 1 << 10  # resize_bilinear.h: fractional bits of positions and weights


def moved(call: Call) -> tuple[Codes, ...]:
    """The codes elsewhere; every output has the input's quantization."""
    x = call.operand(0)
    codes = x.values.astype(np.int64)
    made = evaluate(call.node, [codes, *(None if o is None else o.values for o in call.inputs[1:])])
    if made is None:
        call.fail("its settings are not constant")
    parts = (Operand(x.name, np.asarray(part, np.int64), x.entry) for part in made)
    return tuple(call.saturated(requantized(part, call.scale, call.zero)) for part in parts)


def index(node: Node, data: Operand | None) -> NDArray[np.int64]:
    """ArgMax or ArgMin of the codes: of equals the first."""
    assert data is not None
    find = np.argmax if node.op == "ArgMax" else np.argmin
    codes, axis = data.values.astype(np.int64), node.int("axis", 0)
    if node.int("select_last_index", 0):
        raise ModelbuildError(
            f"tflite@1 cannot run {node.op} `{node.name}`", why="it takes the last of equals"
        )
    found = np.asarray(find(codes, axis=axis), np.int64)
    return np.expand_dims(found, axis) if node.int("keepdims", 1) else found


def blocks(call: Call) -> Codes:
    """DepthToSpace in the order DCR, and SpaceToDepth, of [N, C, H, W]."""
    x, size = call.operand(0), call.node.int("blocksize", 1)
    if call.node.attributes.get("mode", "DCR") != "DCR":
        call.fail("its channels are in another order than TFLite's")
    codes = requantized(x, call.scale, call.zero)
    batch, channels, rows, columns = codes.shape
    if call.node.op == "DepthToSpace":
        parts = codes.reshape(batch, size, size, channels // size**2, rows, columns)
        return call.saturated(parts.transpose(0, 3, 4, 1, 5, 2).reshape(call.shape()))
    parts = codes.reshape(batch, channels, rows // size, size, columns // size, size)
    return call.saturated(parts.transpose(0, 3, 5, 1, 2, 4).reshape(call.shape()))


def select(call: Call) -> Codes:
    """SELECT: the codes of one input or the other."""
    condition, yes, no = call.optional(0), call.operand(1), call.operand(2)
    assert condition is not None
    parts = [requantized(x, call.scale, call.zero) for x in (yes, no)]
    return call.saturated(np.where(condition.values, *parts))


def concat(call: Call) -> Codes:
    """Inputs of another scale are changed to the output's in float32 (reference/concatenation.h)."""
    axis = call.node.int("axis", 0)
    parts = [_at_scale(call, call.operand(index)) for index in range(len(call.inputs))]
    return call.saturated(np.concatenate(parts, axis=axis))


def _at_scale(call: Call, x: Operand) -> NDArray[np.int64]:
    if (x.scale, x.zero) == (call.scale, call.zero):
        return x.values.astype(np.int64)
    factor = np.float32(x.scale) * (np.float32(1) / np.float32(call.scale))
    offset = np.float32(-x.zero) * factor
    values = x.values.astype(np.float32) * factor + offset
    half = np.copysign(np.float32(0.5), values)
    whole: Codes = np.trunc(values + half).astype(np.int64)
    return whole + call.zero


def extreme(call: Call) -> Codes:
    """Max or Min of tensors at one scale."""
    parts = [requantized(call.operand(i), call.scale, call.zero) for i in range(len(call.inputs))]
    function = np.maximum if call.node.op == "Max" else np.minimum
    result = parts[0]
    for part in parts[1:]:
        result = function(result, part)
    return call.saturated(result)


def pad(call: Call) -> Codes:
    """The value, 0.0 unless given, as a code of the output."""
    x, pads, value = call.operand(0), call.optional(1), call.optional(2)
    mode = call.node.attributes.get("mode", "constant")
    if pads is None or len(call.node.inputs) > 3 or mode not in ("constant", "reflect"):
        call.fail("its padding is not plain")
    rank = x.values.ndim
    before, after = np.split(pads.values.reshape(-1).astype(np.int64), 2)
    frame = [(int(before[axis]), int(after[axis])) for axis in range(rank)]
    codes = requantized(x, call.scale, call.zero)
    if mode == "reflect":
        return call.saturated(np.pad(codes, frame, mode="reflect"))
    fill = call.zero
    if value is not None:
        real = value.values.reshape(-1)[0]
        fill = int(real) if value.entry is not None else call.zero + round(float(real) / call.scale)
    return call.saturated(np.pad(codes, frame, constant_values=fill))


def resize(call: Call) -> Codes:
    """Of [N, C, H, W]: the nearest cell, or four cells weighted in 2^-10 (resize_bilinear.h)."""
    x = call.operand(0)
    grid = call.node.attributes.get("coordinate_transformation_mode", "half_pixel")
    mode, out = call.node.attributes.get("mode", "nearest"), call.shape()
    codes = requantized(x, call.scale, call.zero)
    if codes.ndim != 4 or codes.shape[:2] != out[:2] or grid not in _GRIDS:
        call.fail("it resizes other axes than height and width, or in another grid than TFLite's")
    if mode == "nearest":
        rows, columns = (_nearest(codes.shape[a], out[a], str(grid)) for a in (2, 3))
        return call.saturated(codes[:, :, rows][:, :, :, columns])
    if call.target.dtype == "uint8":
        return call.saturated(_between_floats(codes, out, str(grid)))
    (top, bottom, down), (left, right, across) = (
        _between(codes.shape[axis], out[axis], str(grid)) for axis in (2, 3)
    )
    up, back = _FIXED - down, _FIXED - across
    rows_top, rows_bottom = codes[:, :, top], codes[:, :, bottom]
    upper = rows_top[..., left] * back + rows_top[..., right] * across
    lower = rows_bottom[..., left] * back + rows_bottom[..., right] * across
    total = np.asarray(upper * up[:, None] + lower * down[:, None], np.int64)
    half = _FIXED * _FIXED // 2
    return call.saturated(np.where(total > 0, (total + half) >> 20, -((half - total) >> 20)))


def _between_floats(codes: Codes, out: tuple[int, ...], grid: str) -> Codes:
    """Four codes weighted in float32 and rounded halves up, as the kernel for uint8 does."""
    (top, bottom, down), (left, right, across) = (
        _places(codes.shape[axis], out[axis], grid) for axis in (2, 3)
    )
    cells = codes.astype(np.float32)
    one, down = np.float32(1), down[:, None]
    total = cells[:, :, top][..., left] * (one - down) * (one - across)
    total = total + cells[:, :, bottom][..., left] * down * (one - across)
    total = total + cells[:, :, top][..., right] * (one - down) * across
    total = total + cells[:, :, bottom][..., right] * down * across
    rounded: Codes = np.trunc(total + np.float32(0.5)).astype(np.int64)
    return rounded


def _places(size: int, count: int, grid: str) -> tuple[Codes, Codes, NDArray[np.float32]]:
    """As `_between`, in float32."""
    step = np.float32(size) / np.float32(count)
    if grid == "align_corners" and count > 1:
        step = np.float32(size - 1) / np.float32(count - 1)
    places = np.arange(count, dtype=np.float32)
    half = np.float32(0.5)
    places = (places + half) * step - half if grid == "half_pixel" else places * step
    before = np.maximum(np.floor(places), 0).astype(np.int64)
    after = np.minimum(np.ceil(places).astype(np.int64), size - 1)
    return before, after, (places - before.astype(np.float32)).astype(np.float32)


def _nearest(size: int, count: int, grid: str) -> Codes:
    """The source cell of each cell, in float32 (resize_nearest_neighbor.h)."""
    cells = np.arange(count, dtype=np.float32)
    if grid == "align_corners" and count > 1:
        scale = np.float32(size - 1) / np.float32(count - 1)
        found = np.floor(cells * scale + np.float32(0.5))
    else:
        scale = np.float32(size) / np.float32(count)
        offset = np.float32(0.5 if grid == "half_pixel" else 0.0)
        found = np.floor((cells + offset) * scale)
    cells_of: Codes = np.clip(found.astype(np.int64), 0, size - 1)
    return cells_of


def _between(size: int, count: int, grid: str) -> tuple[Codes, Codes, Codes]:
    """The cells before and after each cell's place, and the weight of the one after in 2^-10."""
    step = (_FIXED * size + count // 2) // count
    if grid == "align_corners" and count > 1:
        step = (_FIXED * (size - 1) + (count - 1) // 2) // (count - 1)
    places = np.arange(count, dtype=np.int64) * step
    if grid == "half_pixel":
        places = places + step // 2 - _FIXED // 2
    before = np.maximum(np.where(places >= 0, places >> 10, -((-places) >> 10)), 0)
    after = np.minimum((places + _FIXED - 1) // _FIXED, size - 1)
    after = np.maximum(after, 0)
    return np.minimum(before, size - 1), after, places - before * _FIXED


KERNELS = {
    "Concat": concat,
    "DepthToSpace": blocks,
    "Max": extreme,
    "Min": extreme,
    "Pad": pad,
    "Resize": resize,
    "SpaceToDepth": blocks,
    "Where": select,
}
