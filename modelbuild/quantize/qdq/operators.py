"""How each fixed operator is drawn: the float operator that it approximates, or an exact lookup."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.operator_shapes import LINEAR_ONE
from modelbuild.quantize.qdq.drawing import Drawing

Drawer = Callable[[Drawing, Bound], None]


def _factor(bound: Bound, multiplier: int, shift: int, input_scale: float) -> float:
    """What an integer factor M / 2^s means in real numbers."""
    return math.ldexp(multiplier, -shift) * bound.output.scale / input_scale


def _reals(drawing: Drawing, bound: Bound) -> list[str]:
    return [drawing.real[tensor.name] for tensor in bound.inputs]


def _weights(drawing: Drawing, bound: Bound) -> list[str]:
    """Dequantized weights and bias, their scales worked back from the multipliers."""
    pairs = zip(bound.constant("multiplier").tolist(), bound.constant("shift").tolist(), strict=True)
    x = bound.inputs[0]
    scales = np.array([_factor(bound, multiplier, shift, x.scale) for multiplier, shift in pairs])
    made = []
    for role, steps in (("weight", scales), ("bias", scales * x.scale)):
        name = drawing.constant(bound.operator.constants[role])
        scale = drawing.floats(f"{name}/scale", steps)
        if bound.constant(role).dtype.itemsize > 4:
            whole = drawing.node("Cast", name, [name], {"to": TensorProto.FLOAT})
            made.append(drawing.node("Mul", name, [whole, scale]))
        else:
            made.append(drawing.node("DequantizeLinear", name, [name, scale], {"axis": 0}))
    return made


def _conv(drawing: Drawing, bound: Bound) -> None:
    attributes = {
        "kernel_shape": list(bound.constant("weight").shape[2:]),
        "strides": list(bound.numbers("strides")),
        "pads": list(bound.numbers("pads")),
        "dilations": list(bound.numbers("dilations")),
        "group": bound.number("group"),
    }
    inputs = [*_reals(drawing, bound), *_weights(drawing, bound)]
    drawing.finish(bound, drawing.node("Conv", bound.operator.name, inputs, attributes))


def _gemm(drawing: Drawing, bound: Bound) -> None:
    inputs = [*_reals(drawing, bound), *_weights(drawing, bound)]
    drawing.finish(bound, drawing.node("Gemm", bound.operator.name, inputs, {"transB": 1}))


def _product(op: str) -> Drawer:
    def draw(drawing: Drawing, bound: Bound) -> None:
        real = drawing.node(op, bound.operator.name, _reals(drawing, bound))
        scale = bound.inputs[0].scale * bound.inputs[1].scale
        factor = _factor(bound, bound.number("multiplier"), bound.number("shift"), scale)
        drawing.finish(bound, drawing.scaled(bound, real, factor))

    return draw


def _add(drawing: Drawing, bound: Bound) -> None:
    shift = bound.number("shift")
    names = ("input_multiplier", "other_multiplier")
    factors = [
        _factor(bound, bound.number(name), shift, tensor.scale)
        for name, tensor in zip(names, bound.inputs, strict=True)
    ]
    op, sign = ("Sub", -1.0) if factors[1] < 0 else ("Add", 1.0)
    a, b = _reals(drawing, bound)
    a, b = drawing.scaled(bound, a, factors[0]), drawing.scaled(bound, b, sign * factors[1])
    drawing.finish(bound, drawing.node(op, bound.operator.name, [a, b]))


def _rescale(drawing: Drawing, bound: Bound) -> None:
    factor = _factor(bound, bound.number("multiplier"), bound.number("shift"), bound.inputs[0].scale)
    drawing.finish(bound, drawing.scaled(bound, _reals(drawing, bound)[0], factor))


def _prelu(drawing: Drawing, bound: Bound) -> None:
    x = bound.inputs[0]
    positive = _factor(bound, bound.number("multiplier") or 1, bound.number("shift"), x.scale)
    pairs = zip(
        bound.constant("negative_multiplier").tolist(), bound.constant("negative_shift").tolist(), strict=True
    )
    slopes = np.array([_factor(bound, multiplier, shift, x.scale) / positive for multiplier, shift in pairs])
    name = drawing.floats(f"{bound.operator.name}/slope", slopes.reshape(-1, *([1] * (len(x.shape) - 2))))
    real = drawing.node("PRelu", bound.operator.name, [*_reals(drawing, bound), name])
    drawing.finish(bound, drawing.scaled(bound, real, positive))


def _table(drawing: Drawing, bound: Bound) -> None:
    """Exact: the integers themselves are looked up."""
    name, x = bound.operator.name, bound.inputs[0]
    integers = drawing.node("QuantizeLinear", name, [*_reals(drawing, bound), *drawing.step(x)])
    wide = drawing.node("Cast", name, [integers], {"to": TensorProto.INT32})
    low = drawing.initializer(f"{name}/low", np.array(bound.number("input_low"), np.int32))
    place = drawing.node("Sub", name, [wide, low])
    entries = drawing.constant(bound.operator.constants["table"])
    drawing.dequantize(bound.output, drawing.node("Gather", name, [entries, place]))


def _max_pool(drawing: Drawing, bound: Bound) -> None:
    attributes = {
        "kernel_shape": list(bound.numbers("kernel")),
        **{name: list(bound.numbers(name)) for name in ("strides", "pads", "dilations")},
    }
    drawing.finish(bound, drawing.node("MaxPool", bound.operator.name, _reals(drawing, bound), attributes))


def _average_pool(drawing: Drawing, bound: Bound) -> None:
    attributes: dict[str, Any] = {
        "kernel_shape": list(bound.numbers("kernel")),
        "strides": list(bound.numbers("strides")),
        "pads": list(bound.numbers("pads")),
        "count_include_pad": bound.number("count_include_pad"),
    }
    real = drawing.node("AveragePool", bound.operator.name, _reals(drawing, bound), attributes)
    count, multiplier, shift = (int(bound.constant(role)[-1]) for role in ("count", "multiplier", "shift"))
    factor = count * _factor(bound, multiplier, shift, bound.inputs[0].scale)
    drawing.finish(bound, drawing.scaled(bound, real, factor))


def _reduce_sum(drawing: Drawing, bound: Bound) -> None:
    x, name = bound.inputs[0], bound.operator.name
    count = math.prod(x.shape[axis] for axis in bound.numbers("axes"))
    factor = count * _factor(bound, bound.number("multiplier"), bound.number("shift"), x.scale)
    inputs = [*_reals(drawing, bound), drawing.longs(f"{name}/axes", bound.numbers("axes"))]
    real = drawing.node("ReduceMean", name, inputs, {"keepdims": bound.number("keepdims")})
    drawing.finish(bound, drawing.scaled(bound, real, factor))


def _reduce_max(drawing: Drawing, bound: Bound) -> None:
    name = bound.operator.name
    inputs = [*_reals(drawing, bound), drawing.longs(f"{name}/axes", bound.numbers("axes"))]
    drawing.finish(bound, drawing.node("ReduceMax", name, inputs, {"keepdims": bound.number("keepdims")}))


def _softmax(drawing: Drawing, bound: Bound) -> None:
    attributes = {"axis": bound.number("axis")}
    drawing.finish(bound, drawing.node("Softmax", bound.operator.name, _reals(drawing, bound), attributes))


def _concat(drawing: Drawing, bound: Bound) -> None:
    numbers = zip(bound.inputs, bound.numbers("multipliers"), bound.numbers("shifts"), strict=True)
    parts = [
        drawing.scaled(bound, drawing.real[x.name], _factor(bound, multiplier, shift, x.scale))
        for x, multiplier, shift in numbers
    ]
    attributes = {"axis": bound.number("axis")}
    drawing.finish(bound, drawing.node("Concat", bound.operator.name, parts, attributes))


def _reshape(drawing: Drawing, bound: Bound) -> None:
    name = bound.operator.name
    shape = drawing.longs(f"{name}/shape", bound.numbers("shape"))
    drawing.finish(bound, drawing.node("Reshape", name, [*_reals(drawing, bound), shape]))


def _transpose(drawing: Drawing, bound: Bound) -> None:
    attributes = {"perm": list(bound.numbers("perm"))}
    drawing.finish(bound, drawing.node("Transpose", bound.operator.name, _reals(drawing, bound), attributes))


def _slice(drawing: Drawing, bound: Bound) -> None:
    name = bound.operator.name
    axes = list(range(len(bound.inputs[0].shape)))
    lists = [bound.numbers("starts"), bound.numbers("ends"), axes, bound.numbers("steps")]
    inputs = [drawing.longs(f"{name}/slice", values) for values in lists]
    drawing.finish(bound, drawing.node("Slice", name, [*_reals(drawing, bound), *inputs]))


def _pad(drawing: Drawing, bound: Bound) -> None:
    name, y = bound.operator.name, bound.output
    widths = drawing.longs(f"{name}/pads", bound.numbers("before") + bound.numbers("after"))
    value = drawing.floats(f"{name}/value", (bound.number("value") - y.zero_point) * y.scale)
    drawing.finish(bound, drawing.node("Pad", name, [*_reals(drawing, bound), widths, value]))


def _gather(drawing: Drawing, bound: Bound) -> None:
    indices = drawing.constant(bound.operator.constants["indices"])
    inputs = [*_reals(drawing, bound), indices]
    real = drawing.node("Gather", bound.operator.name, inputs, {"axis": bound.number("axis")})
    drawing.finish(bound, real)


def _resize_linear(drawing: Drawing, bound: Bound) -> None:
    """Two matrices: rows on the left, columns on the right."""
    name, shape = bound.operator.name, bound.inputs[0].shape
    rows = _shares(bound, "rows", "row_weights", shape[2])
    columns = _shares(bound, "columns", "column_weights", shape[3]).T
    across = [*_reals(drawing, bound), drawing.floats(f"{name}/columns", columns)]
    wide = drawing.node("MatMul", name, across)
    real = drawing.node("MatMul", name, [drawing.floats(f"{name}/rows", rows), wide])
    drawing.finish(bound, real)


def _shares(bound: Bound, places: str, weights: str, size: int) -> NDArray[np.float64]:
    matrix = np.zeros((len(bound.constant(places)), size))
    for row, (at, share) in enumerate(zip(bound.constant(places), bound.constant(weights), strict=True)):
        np.add.at(matrix[row], at, share / LINEAR_ONE)
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
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "reduce_sum": _reduce_sum,
    "reduce_max": _reduce_max,
    "softmax": _softmax,
    "concat": _concat,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "pad": _pad,
    "gather": _gather,
    "resize_linear": _resize_linear,
}
