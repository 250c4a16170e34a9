"""How operators are drawn that calculate: sums of whole numbers in floats, then one rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.operator_shapes import CURVE_SHIFT, LINEAR_ONE, SOFTMAX_SHIFT
from modelbuild.arithmetic.pooling import window_cells
from modelbuild.arithmetic.windows import window_of
from modelbuild.quantize.qdq.drawing import Drawer, Drawing

_HIGH = 256  # a 16-bit operand is this times one part, plus another
Factors = NDArray[np.float64]


def _factors(multipliers: object, shifts: object) -> Factors:
    """M / 2^s, exact."""
    return np.asarray(np.ldexp(np.asarray(multipliers, np.float64), -np.asarray(shifts, np.int64)))


def _one_factor(bound: Bound, shift: str = "shift", multiplier: str = "multiplier") -> Factors:
    return _factors(bound.number(multiplier), bound.number(shift))


def _steps(drawing: Drawing, bound: Bound) -> list[str]:
    zeros = ("input_zero", "other_zero")[: len(bound.inputs)]
    return [drawing.steps(x, bound.number(zero)) for x, zero in zip(bound.inputs, zeros, strict=True)]


def _doubles(drawing: Drawing, bound: Bound) -> list[str]:
    return [drawing.doubles(steps) for steps in _steps(drawing, bound)]


def _parts(drawing: Drawing, steps: str, wide: bool) -> list[tuple[int, str]]:
    """Steps as a sum of whole numbers that are short enough for products in float32, with their factors."""
    if not wide:
        return [(1, steps)]
    size = drawing.number(_HIGH, np.float32)
    high = drawing.node("Floor", steps, [drawing.node("Div", steps, [steps, size])])
    low = drawing.node("Sub", steps, [steps, drawing.node("Mul", steps, [high, size])])
    return [(_HIGH, high), (1, low)]


def _convolved(drawing: Drawing, bound: Bound, weight: str, wide: bool, attributes: dict[str, Any]) -> str:
    """The sums of a window, in doubles. `weight` is an edge of float32; `wide` if they are of 16 bits."""
    name, x = bound.operator.name, bound.inputs[0]
    total = ""
    for x_factor, cells in _parts(drawing, _steps(drawing, bound)[0], x.bits > 8):
        for w_factor, taps in _parts(drawing, weight, wide):
            found = drawing.doubles(drawing.node("Conv", name, [cells, taps], attributes))
            if x_factor * w_factor > 1:
                found = drawing.node("Mul", name, [found, drawing.number(x_factor * w_factor)])
            total = drawing.node("Add", name, [total, found]) if total else found
    return total


def _whole(drawing: Drawing, name: str) -> str:
    """The edge of a constant's integers in float32."""
    return drawing.node("DequantizeLinear", name, [drawing.constant(name), drawing.number(1, np.float32)])


def _wide(drawing: Drawing, name: str) -> str:
    """The edge of a constant's integers in float64."""
    return drawing.node("Cast", name, [drawing.constant(name)], {"to": TensorProto.DOUBLE})


def _conv(drawing: Drawing, bound: Bound) -> None:
    name = bound.operator.name
    attributes: dict[str, Any] = {"kernel_shape": bound.constant("weight").shape[2:]}
    attributes |= {key: bound.numbers(key) for key in ("strides", "pads", "dilations")}
    attributes |= {"group": bound.number("group")}
    weight = _whole(drawing, bound.operator.constants["weight"])
    wide = bound.constant("weight").dtype.itemsize > 1
    total = _convolved(drawing, bound, weight, wide, attributes)
    column = drawing.longs("column", (-1, 1, 1))
    bias = drawing.node("Reshape", name, [_wide(drawing, bound.operator.constants["bias"]), column])
    total = drawing.node("Add", name, [total, bias])
    factors = _factors(bound.constant("multiplier"), bound.constant("shift"))
    drawing.finish(bound, total, factors[:, None, None])


def _gemm(drawing: Drawing, bound: Bound) -> None:
    weight, bias = (_wide(drawing, bound.operator.constants[role]) for role in ("weight", "bias"))
    inputs = [*_doubles(drawing, bound), weight, bias]
    total = drawing.node("Gemm", bound.operator.name, inputs, {"transB": 1})
    drawing.finish(bound, total, _factors(bound.constant("multiplier"), bound.constant("shift")))


def _product(op: str) -> Drawer:
    def draw(drawing: Drawing, bound: Bound) -> None:
        product = drawing.node(op, bound.operator.name, _doubles(drawing, bound))
        drawing.finish(bound, product, _one_factor(bound))

    return draw


def _add(drawing: Drawing, bound: Bound) -> None:
    name, shift = bound.operator.name, bound.number("shift")
    terms = []
    for edge, key in zip(_doubles(drawing, bound), ("input_multiplier", "other_multiplier"), strict=True):
        terms.append(drawing.node("Mul", name, [edge, drawing.number(bound.number(key))]))
    drawing.finish(bound, drawing.node("Add", name, terms), _factors(1, shift))


def _rescale(drawing: Drawing, bound: Bound) -> None:
    drawing.finish(bound, _doubles(drawing, bound)[0], _one_factor(bound))


def _prelu(drawing: Drawing, bound: Bound) -> None:
    """Positive and negative part, each with its factors; one of them is 0."""
    name, edge = bound.operator.name, _doubles(drawing, bound)[0]
    positive = drawing.node("Relu", name, [edge])
    negative = drawing.node("Sub", name, [edge, positive])
    slopes = _factors(bound.constant("negative_multiplier"), bound.constant("negative_shift"))
    slopes = slopes.reshape(-1, *([1] * (len(bound.output.shape) - 2)))
    pairs = (positive, _one_factor(bound)), (negative, slopes)
    terms = [
        drawing.node("Mul", name, [part, drawing.initializer(f"{name}/factor", factors)])
        for part, factors in pairs
    ]
    half = drawing.node("Add", name, [drawing.node("Add", name, terms), drawing.number(0.5)])
    drawing.finish(bound, drawing.node("Floor", name, [half]), np.ones(()))


def _table(drawing: Drawing, bound: Bound) -> None:
    """The integers themselves are looked up."""
    name, x = bound.operator.name, bound.inputs[0]
    number = drawing.node("Cast", name, [drawing.integers[x.name]], {"to": TensorProto.INT32})
    place = drawing.node("Sub", name, [number, drawing.number(bound.number("input_low"), np.int32)])
    entries = drawing.constant(bound.operator.constants["table"])
    drawing.put(bound.output, drawing.node("Gather", name, [entries, place]))


def _curve(drawing: Drawing, bound: Bound) -> None:
    """The parabola of each integer's segment, in float64: its whole numbers stay below 2^47."""
    name, x, size = bound.operator.name, bound.inputs[0], 1 << bound.number("segment_bits")
    number = drawing.node("Cast", name, [drawing.integers[x.name]], {"to": TensorProto.INT32})
    steps = drawing.node("Sub", name, [number, drawing.number(bound.number("start"), np.int32)])
    length = drawing.number(size, np.int32)
    segment = drawing.node("Div", name, [steps, length])
    begun = drawing.node("Mul", name, [segment, length])
    within = drawing.doubles(drawing.node("Sub", name, [steps, begun]))
    value, slope, bend = (
        drawing.doubles(drawing.node("Gather", name, [drawing.constant(constant), segment]))
        for constant in (bound.operator.constants[role] for role in ("value", "slope", "bend"))
    )
    for further in (slope, value):
        share = drawing.node("Mul", name, [bend, within])
        share = drawing.node("Mul", name, [share, drawing.number(1 / size)])
        share = drawing.node("Floor", name, [drawing.node("Add", name, [share, drawing.number(0.5)])])
        bend = drawing.node("Add", name, [further, share])
    drawing.finish(bound, bend, np.asarray(2.0**-CURVE_SHIFT))


def _average_pool(drawing: Drawing, bound: Bound) -> None:
    """A convolution with ones; each place divides by the number of its cells."""
    x, name, kernel = bound.inputs[0], bound.operator.name, bound.numbers("kernel")
    ones = drawing.initializer(f"{name}/ones", np.ones((x.shape[1], 1, *kernel), np.float32))
    attributes = {"kernel_shape": kernel, "group": x.shape[1]}
    attributes |= {key: bound.numbers(key) for key in ("strides", "pads")}
    total = _convolved(drawing, bound, ones, False, attributes)
    cells = window_cells(window_of(bound, kernel), x.shape[-2:], bool(bound.number("count_include_pad")))
    at = np.searchsorted(bound.constant("count"), cells)
    drawing.finish(bound, total, _factors(bound.constant("multiplier")[at], bound.constant("shift")[at]))


def _reduce_sum(drawing: Drawing, bound: Bound) -> None:
    axes = drawing.longs(f"{bound.operator.name}/axes", bound.numbers("axes"))
    attributes = {"keepdims": bound.number("keepdims")}
    inputs = [*_doubles(drawing, bound), axes]
    drawing.finish(
        bound, drawing.node("ReduceSum", bound.operator.name, inputs, attributes), _one_factor(bound)
    )


def _softmax(drawing: Drawing, bound: Bound) -> None:
    """Shares of stored exponentials, in int64."""
    name, axis = bound.operator.name, bound.number("axis")
    axes, keep = drawing.longs(f"{name}/axes", (axis,)), {"keepdims": 1}
    steps = drawing.steps(bound.inputs[0], bound.inputs[0].zero_point)
    largest = drawing.node("ReduceMax", name, [steps, axes], keep)
    below = drawing.node("Sub", name, [largest, steps])
    place = drawing.node("Cast", name, [below], {"to": TensorProto.INT32})
    shares = _exponentials(drawing, bound, place)
    total = drawing.node("ReduceSum", name, [shares, axes], keep)
    factor = drawing.number(2 * bound.number("one"), np.int64)
    above = drawing.node("Add", name, [drawing.node("Mul", name, [shares, factor]), total])
    under = drawing.node("Mul", name, [total, drawing.number(2, np.int64)])
    share = drawing.node("Div", name, [above, under])
    drawing.finish(bound, drawing.doubles(share), np.ones(()))


def _exponentials(drawing: Drawing, bound: Bound, place: str) -> str:
    """Of distances in int32, as an edge of int64; of 16 bits, products of two."""
    name = bound.operator.name
    table = drawing.constant(bound.operator.constants["table"])

    def entries(places: str) -> str:
        found = drawing.node("Gather", name, [table, places])
        return drawing.node("Cast", name, [found], {"to": TensorProto.INT64})

    if bound.inputs[0].bits == 8:
        return entries(place)
    size = drawing.number(256, np.int32)
    upper = drawing.node("Div", name, [place, size])
    lower = drawing.node("Sub", name, [place, drawing.node("Mul", name, [upper, size])])
    product = drawing.node("Mul", name, [entries(upper), entries(drawing.node("Add", name, [lower, size]))])
    half = drawing.number(1 << (SOFTMAX_SHIFT - 1), np.int64)
    one = drawing.number(1 << SOFTMAX_SHIFT, np.int64)
    return drawing.node("Div", name, [drawing.node("Add", name, [product, half]), one])


def _resize_linear(drawing: Drawing, bound: Bound) -> None:
    """Two matrices: rows on the left, columns on the right."""
    name, x = bound.operator.name, bound.inputs[0]
    rows = drawing.initializer(f"{name}/rows", _shares(bound, "rows", "row_weights", x.shape[2]))
    columns = _shares(bound, "columns", "column_weights", x.shape[3]).T
    across = [
        drawing.doubles(drawing.steps(x, bound.number("output_zero"))),
        drawing.initializer(f"{name}/columns", columns),
    ]
    total = drawing.node("MatMul", name, [rows, drawing.node("MatMul", name, across)])
    drawing.finish(bound, total, np.asarray(LINEAR_ONE**-2.0))


def _shares(bound: Bound, places: str, weights: str, size: int) -> Factors:
    matrix = np.zeros((len(bound.constant(places)), size))
    for row, (at, share) in enumerate(zip(bound.constant(places), bound.constant(weights), strict=True)):
        np.add.at(matrix[row], at, share)
    return matrix


DRAWERS: dict[str, Drawer] = {
    "conv": _conv,
    "gemm": _gemm,
    "matmul": _product("MatMul"),
    "add": _add,
    "multiply": _product("Mul"),
    "rescale": _rescale,
    "prelu": _prelu,
    "table": _table,
    "curve": _curve,
    "average_pool": _average_pool,
    "reduce_sum": _reduce_sum,
    "softmax": _softmax,
    "resize_linear": _resize_linear,
}
