"""Operators that move codes: reshapes, slices, joins, pads; and Resize."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.tflite.call import Call, Codes, Operand
from modelbuild.arithmetic.tflite.elementwise import requantized
from modelbuild.graph.constant_operators import evaluate

# constant_operators computes these on codes as on any numbers.
MOVING = frozenset(
    {"Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)
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


KERNELS = {"Concat": concat, "Max": extreme, "Min": extreme, "Pad": pad, "Resize": resize}
