"""Which cell each cell of an output is, and resizing, cell by cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedOperator

Array = NDArray[Any]
Place = tuple[int, ...]
f32 = np.float32


def moved(shape: Place, x: Array, source: Callable[[Place], Place | None], fill: Any = 0) -> Array:
    """An array of `shape` whose cells are those of `x` that `source` names; `fill` where it names none."""
    out = np.zeros(shape, x.dtype)
    for at in itertools.product(*(range(size) for size in shape)):
        found = source(at)
        out[at] = fill if found is None else x[found]
    return out


def lookup(_: FixedOperator, constants: dict[str, Any], shape: Place, x: Array) -> Array:
    out = np.zeros(shape, np.uint8)
    for at in itertools.product(*(range(size) for size in shape)):
        out[at] = constants["table"][int(x[at])]
    return out


def reshape(_: FixedOperator, __: dict[str, Any], shape: Place, x: Array) -> Array:
    return np.array(x.flatten().tolist(), x.dtype).reshape(shape)


def transpose(operator: FixedOperator, _: dict[str, Any], shape: Place, x: Array) -> Array:
    order: Any = operator.parameters["permutation"]
    return moved(shape, x, lambda at: tuple(at[order.index(axis)] for axis in range(x.ndim)))


def slice_axes(operator: FixedOperator, _: dict[str, Any], shape: Place, x: Array) -> Array:
    p: Any = operator.parameters
    lines = list(zip(p["starts"], p["steps"], strict=True))
    return moved(shape, x, lambda at: tuple(a + b * c for (a, b), c in zip(lines, at, strict=True)))


def concat(operator: FixedOperator, _: dict[str, Any], shape: Place, *inputs: Array) -> Array:
    axis: Any = operator.parameters["axis"]
    out = np.zeros(shape, inputs[0].dtype)
    for at in itertools.product(*(range(size) for size in shape)):
        place = at[axis]
        for x in inputs:
            if place < x.shape[axis]:
                out[at] = x[(*at[:axis], place, *at[axis + 1 :])]
                break
            place -= x.shape[axis]
    return out


def pad(operator: FixedOperator, constants: dict[str, Any], shape: Place, x: Array) -> Array:
    p: Any = operator.parameters

    def line(place: int, size: int) -> int | None:
        if 0 <= place < size:
            return place
        low = place < 0
        return {
            "constant": None,
            "edge": 0 if low else size - 1,
            "reflect": -place if low else 2 * size - 2 - place,
            "symmetric": -place - 1 if low else 2 * size - 1 - place,
        }[p["mode"]]

    def source(at: Place) -> Place | None:
        found = [line(a - b, size) for a, b, size in zip(at, p["before"], x.shape, strict=True)]
        return None if None in found else tuple(place for place in found if place is not None)

    return moved(shape, x, source, constants["value"])


def expand(_: FixedOperator, __: dict[str, Any], shape: Place, x: Array) -> Array:
    missing = len(shape) - x.ndim
    return moved(
        shape,
        x,
        lambda at: tuple(0 if size == 1 else a for a, size in zip(at[missing:], x.shape, strict=True)),
    )


def gather(operator: FixedOperator, constants: dict[str, Any], shape: Place, x: Array) -> Array:
    axis: Any = operator.parameters["axis"]
    indices = constants["indices"]
    return moved(shape, x, lambda at: (*at[:axis], int(indices[at[axis]]), *at[axis + 1 :]))


def _scale(operator: FixedOperator, size: int, out: int) -> Any:
    if operator.parameters["align_corners"] and out > 1:
        return f32(f32(size - 1) / f32(out - 1))
    return f32(f32(size) / f32(out))


def resize_nearest(operator: FixedOperator, _: dict[str, Any], shape: Place, x: Array) -> Array:
    p = operator.parameters

    def line(place: int, axis: int) -> int:
        start = f32(place) + f32(0.5 if p["half_pixel"] else 0)
        at = float(f32(start * _scale(operator, x.shape[axis], shape[axis])))
        return min(math.floor(at + 0.5) if p["align_corners"] else math.floor(at), x.shape[axis] - 1)

    return moved(shape, x, lambda at: (*at[:2], line(at[2], 2), line(at[3], 3)))


def resize_bilinear(operator: FixedOperator, _: dict[str, Any], shape: Place, x: Array) -> Array:
    def line(place: int, axis: int) -> tuple[int, int, Any]:
        scale, size = _scale(operator, x.shape[axis], shape[axis]), x.shape[axis]
        at = f32(f32(place) * scale)
        if operator.parameters["half_pixel"]:
            at = f32(f32(f32(f32(place) + f32(0.5)) * scale) - f32(0.5))
        before = max(math.floor(at), 0)
        return before, min(math.ceil(at), size - 1), f32(at - f32(before))

    out = np.zeros(shape, f32)
    for n, c, i, j in itertools.product(*(range(size) for size in shape)):
        (top, bottom, down), (left, right, along) = line(i, 2), line(j, 3)
        up, back = f32(1) - down, f32(1) - along
        total = f32(x[n, c, top, left] * f32(up * back))
        total = f32(total + f32(x[n, c, bottom, left] * f32(down * back)))
        total = f32(total + f32(x[n, c, top, right] * f32(up * along)))
        out[n, c, i, j] = f32(total + f32(x[n, c, bottom, right] * f32(down * along)))
    return out


ORACLES: dict[str, Callable[..., Array]] = {
    "lookup": lookup,
    "reshape": reshape,
    "transpose": transpose,
    "slice": slice_axes,
    "concat": concat,
    "join": concat,
    "pad": pad,
    "expand": expand,
    "gather": gather,
    "resize_nearest": resize_nearest,
    "resize_bilinear": resize_bilinear,
}
