"""Operators on floats that are a few others in a row: normalizations, running sums, products along axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.kpu.lowering.functions import number
from modelbuild.kpu.lowering.limits import limits
from modelbuild.kpu.lowering.lowering import FLOATS, Lowering
from modelbuild.kpu.lowering.moving import Moves, Wanted
from modelbuild.kpu.lowering.sheet import Sheet
from modelbuild.quantize.builders.reduction import reduced_axes

Tensor = QuantizedTensor
MOST_ALONG = 1024  # of an axis that a matrix of ones is made for


def reduced(
    lowering: Lowering, x: Tensor, op: str, axes: Sequence[int], keep: bool, y: Tensor | None = None
) -> Tensor:
    """Along axes."""
    kept = ((axis, size) for axis, size in enumerate(x.shape) if keep or axis not in axes)
    shape = tuple(1 if axis in axes else size for axis, size in kept)
    out = y or lowering.float_between(shape, op)
    lowering.emit("reduce", (x,), out, {"op": op, "axes": tuple(axes), "keep": int(keep)})
    return out


def reshaped(lowering: Lowering, x: Tensor, shape: tuple[int, ...], y: Tensor | None = None) -> Tensor:
    """The same values in another shape."""
    out = y or lowering.float_between(shape, "shaped")
    lowering.emit("reshape", (x,), out, {})
    return out


def log_sum_exp(
    lowering: Lowering, x: Tensor, axes: Sequence[int], keep: bool, y: Tensor | None = None
) -> Tensor:
    """The logarithm of the sum of exponentials, the largest of them drawn out: none is infinite."""
    sheet = Sheet(lowering)
    largest = reduced(lowering, x, "max", axes, True)
    total = reduced(lowering, sheet.exp(sheet.sub(x, largest)), "sum", axes, True)
    kept = sheet.add(sheet.log(total), largest, y if keep else None)
    if keep:
        return kept
    shape = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    return reshaped(lowering, kept, shape, y)


def log_softmax(lowering: Lowering, _: Wanted) -> None:
    """x less the logarithm of the sum of exponentials."""
    x, y = lowering.tensor(lowering.node.inputs[0]), lowering.output()
    axis = lowering.node.int("axis", -1) % len(x.shape)
    Sheet(lowering).sub(x, log_sum_exp(lowering, x, (axis,), True), y)


def _along(op: Callable[[Lowering, Tensor, tuple[int, ...], bool, Tensor], object]) -> Callable[..., None]:
    def build(lowering: Lowering, _: Wanted) -> None:
        axes, keep = reduced_axes(Moves(lowering, FLOATS)), bool(lowering.node.int("keepdims", 1))
        op(lowering, lowering.tensor(lowering.node.inputs[0]), axes, keep, lowering.output())

    return build


def _log_sum(lowering: Lowering, x: Tensor, axes: tuple[int, ...], keep: bool, y: Tensor) -> None:
    Sheet(lowering).log(reduced(lowering, x, "sum", axes, keep), y)


def _product(lowering: Lowering, x: Tensor, axes: tuple[int, ...], keep: bool, y: Tensor) -> None:
    """Halves of each axis times each other."""
    for axis in axes:
        while x.shape[axis] > 1:
            half = x.shape[axis] // 2
            whole = Sheet(lowering).mul(_cut(lowering, x, axis, 0, half), _cut(lowering, x, axis, half, half))
            if x.shape[axis] % 2:
                rest = _cut(lowering, x, axis, 2 * half, 1)
                first = whole if half == 1 else _cut(lowering, whole, axis, 0, 1)
                first = Sheet(lowering).mul(first, rest)
                whole = first if half == 1 else _beside(lowering, axis, first, whole)
            x = whole
    reshaped(lowering, x, y.shape, y)


def _beside(lowering: Lowering, axis: int, first: Tensor, whole: Tensor) -> Tensor:
    """`whole` with another first cell."""
    rest = _cut(lowering, whole, axis, 1, whole.shape[axis] - 1)
    out = lowering.float_between(whole.shape, "product")
    lowering.emit("concat", (first, rest), out, {"axis": axis})
    return out


def _cut(lowering: Lowering, x: Tensor, axis: int, start: int, count: int) -> Tensor:
    starts = tuple(start if place == axis else 0 for place in range(len(x.shape)))
    shape = tuple(count if place == axis else size for place, size in enumerate(x.shape))
    ends = tuple(begin + size for begin, size in zip(starts, shape, strict=True))
    y = lowering.float_between(shape, "part")
    parameters: dict[str, Parameter] = {"starts": starts, "ends": ends, "steps": (1,) * len(shape)}
    lowering.emit("slice", (x,), y, parameters)
    return y


def _mixed(lowering: Lowering, x: Tensor, axis: int, matrix: NDArray[np.float32], y: Tensor | None) -> Tensor:
    """Each line along an axis times a matrix [n, n]."""
    size, inner = x.shape[axis], math.prod(x.shape[axis + 1 :])
    if size > MOST_ALONG:
        lowering.fail(f"it works along {size} cells; {MOST_ALONG} can be built")
    outer = math.prod(x.shape[:axis])
    flat = reshaped(lowering, x, (outer, size, inner))
    factor = lowering.constant(lowering.parts.names.fresh(f"{lowering.step.outputs[0]}/matrix"), matrix)
    made = lowering.float_between(flat.shape, "mixed")
    bias = {"bias": np.zeros(inner, np.float32), **limits()}
    lowering.emit("matmul", (factor, flat), made, {}, bias)
    return reshaped(lowering, made, x.shape, y)


def cumulative_sum(lowering: Lowering, _: Wanted) -> None:
    """CumSum along a constant axis, as a product with a triangle of ones."""
    node, x = lowering.node, lowering.tensor(lowering.node.inputs[0])
    axis = lowering.graph.constants.get(node.inputs[1])
    if axis is None:
        lowering.fail("its axis must be a constant")
    place = int(axis.reshape(-1)[0]) % len(x.shape)
    triangle = np.tri(x.shape[place], k=-node.int("exclusive", 0), dtype=np.float32)
    matrix = np.ascontiguousarray(triangle.T if node.int("reverse", 0) else triangle)
    _mixed(lowering, x, place, matrix, lowering.output())


def local_response(lowering: Lowering, _: Wanted) -> None:
    """LRN: x / (bias + alpha / size · the sum of squares of `size` channels) ^ beta."""
    node, x, sheet = lowering.node, lowering.tensor(lowering.node.inputs[0]), Sheet(lowering)
    size, channels = node.int("size", 1), x.shape[1]
    places = np.arange(channels)
    away = places[None, :] - places[:, None]
    near = (away >= -((size - 1) // 2)) & (away <= size // 2)
    matrix = near.astype(np.float32) * np.float32(number(node, "alpha", 1e-4) / size)
    total = sheet.add(_mixed(lowering, sheet.square(x), 1, matrix, None), number(node, "bias", 1.0))
    sheet.div(x, sheet.pow(total, number(node, "beta", 0.75)), lowering.output())


def lp_normalization(lowering: Lowering, _: Wanted) -> None:
    """x over its sum of absolutes, or its root of squares, along an axis."""
    node, x, sheet = lowering.node, lowering.tensor(lowering.node.inputs[0]), Sheet(lowering)
    axes = (node.int("axis", -1) % len(x.shape),)
    if node.int("p", 2) == 1:
        norm = reduced(lowering, sheet.abs(x), "sum", axes, True)
    else:
        norm = sheet.sqrt(reduced(lowering, sheet.square(x), "sum", axes, True))
    sheet.div(x, sheet.max(norm, float(np.finfo(np.float32).tiny)), lowering.output())


def average(lowering: Lowering, _: Wanted) -> None:
    """Mean of several tensors."""
    sheet, tensors = Sheet(lowering), [lowering.tensor(name) for name in lowering.node.inputs]
    total = tensors[0]
    for each in tensors[1:]:
        total = sheet.add(total, each)
    sheet.mul(total, 1 / len(tensors), lowering.output())


def triangle(lowering: Lowering, _: Wanted) -> None:
    """Trilu: a product with ones and zeros."""
    node, x = lowering.node, lowering.tensor(lowering.node.inputs[0])
    given = node.inputs[1] if len(node.inputs) > 1 else ""
    k = lowering.graph.constants.get(given, np.zeros(1, np.int64)) if given else np.zeros(1, np.int64)
    if given and given not in lowering.graph.constants:
        lowering.fail("its diagonal must be a constant")
    ones, place = np.ones(x.shape[-2:], np.float32), int(k.reshape(-1)[0])
    mask = np.triu(ones, place) if node.int("upper", 1) else np.tril(ones, place)
    name = lowering.parts.names.fresh(f"{lowering.step.outputs[0]}/mask")
    Sheet(lowering).mul(x, lowering.constant(name, mask), lowering.output())


BUILDERS: dict[str, Callable[[Lowering, Wanted], None]] = {
    "CumSum": cumulative_sum,
    "LRN": local_response,
    "LogSoftmax": log_softmax,
    "LpNormalization": lp_normalization,
    "Mean": average,
    "ReduceLogSum": _along(_log_sum),
    "ReduceLogSumExp": _along(log_sum_exp),
    "ReduceProd": _along(_product),
    "Trilu": triangle,
}
