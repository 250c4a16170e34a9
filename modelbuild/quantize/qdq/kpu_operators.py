"""How the other operators of `kpu@1` are drawn: bytes and floats that move, and floats as ONNX has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.arithmetic.kpu.images import nearest
from modelbuild.quantize.qdq.drawing import Drawer, Drawing
from modelbuild.quantize.qdq.kpu_layer import kpu_conv

_LARGEST = float(np.finfo(np.float32).max)
_UNARY = {
    "abs": "Abs",
    "acos": "Acos",
    "asin": "Asin",
    "ceil": "Ceil",
    "cos": "Cos",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "log": "Log",
    "neg": "Neg",
    "round": "Round",
    "sign": "Sign",
    "sin": "Sin",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
}
_BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "min": "Min", "max": "Max", "pow": "Pow"}
_REDUCE = {"mean": "ReduceMean", "min": "ReduceMin", "max": "ReduceMax", "sum": "ReduceSum"}


def _edges(drawing: Drawing, bound: Bound) -> list[str]:
    return [drawing.integers[name] for name in bound.operator.inputs]


def _line(drawing: Drawing, bound: Bound, edge: str) -> str:
    """x · factor + offset."""
    name, constants = bound.operator.name, bound.operator.constants
    real = drawing.node("Mul", name, [edge, drawing.constant(constants["factor"])])
    return drawing.node("Add", name, [real, drawing.constant(constants["offset"])])


def _ends(drawing: Drawing, codes: QuantizedTensor) -> list[str]:
    return [drawing.number(1, np.float32), drawing.number(0, codes.dtype)]


def _quantize(drawing: Drawing, bound: Bound) -> None:
    """QuantizeLinear rounds halves to even and limits."""
    steps = _line(drawing, bound, _edges(drawing, bound)[0])
    inputs = [steps, *_ends(drawing, bound.output)]
    drawing.put(bound.output, drawing.node("QuantizeLinear", bound.operator.name, inputs))


def _dequantize(drawing: Drawing, bound: Bound) -> None:
    inputs = [_edges(drawing, bound)[0], *_ends(drawing, bound.inputs[0])]
    steps = drawing.node("DequantizeLinear", bound.operator.name, inputs)
    drawing.put(bound.output, _line(drawing, bound, steps))


def _lookup(drawing: Drawing, bound: Bound) -> None:
    name = bound.operator.name
    place = drawing.node("Cast", name, _edges(drawing, bound), {"to": TensorProto.INT32})
    entries = drawing.constant(bound.operator.constants["table"])
    drawing.put(bound.output, drawing.node("Gather", name, [entries, place]))


def _shaped(op: str) -> Drawer:
    """Reshape or Expand to the output's shape."""

    def draw(drawing: Drawing, bound: Bound) -> None:
        shape = drawing.longs(f"{bound.operator.name}/shape", bound.output.shape)
        inputs = [*_edges(drawing, bound), shape]
        drawing.put(bound.output, drawing.node(op, bound.operator.name, inputs))

    return draw


def _transpose(drawing: Drawing, bound: Bound) -> None:
    attributes = {"perm": bound.numbers("permutation")}
    edges = _edges(drawing, bound)
    drawing.put(bound.output, drawing.node("Transpose", bound.operator.name, edges, attributes))


def _slice(drawing: Drawing, bound: Bound) -> None:
    name, axes = bound.operator.name, range(len(bound.inputs[0].shape))
    lists = [bound.numbers("starts"), bound.numbers("ends"), list(axes), bound.numbers("steps")]
    inputs = [*_edges(drawing, bound), *(drawing.longs(f"{name}/slice", values) for values in lists)]
    drawing.put(bound.output, drawing.node("Slice", name, inputs))


def _concat(drawing: Drawing, bound: Bound) -> None:
    attributes = {"axis": bound.number("axis")}
    edges = _edges(drawing, bound)
    drawing.put(bound.output, drawing.node("Concat", bound.operator.name, edges, attributes))


def _pad(drawing: Drawing, bound: Bound) -> None:
    """ONNX has no symmetric borders: there, cells are gathered axis by axis."""
    name, mode, edge = bound.operator.name, bound.text("mode"), _edges(drawing, bound)[0]
    before, after = bound.numbers("before"), bound.numbers("after")
    if mode == "symmetric":
        for axis, (size, *widths) in enumerate(zip(bound.inputs[0].shape, before, after, strict=True)):
            if any(widths):
                places = np.pad(np.arange(size), widths, "symmetric")
                edge = _gathered(drawing, name, edge, axis, places)
        drawing.put(bound.output, edge)
        return
    inputs = [edge, drawing.longs(f"{name}/pads", before + after)]
    if mode == "constant":
        inputs.append(drawing.constant(bound.operator.constants["value"]))
    drawing.put(bound.output, drawing.node("Pad", name, inputs, {"mode": mode}))


def _gathered(drawing: Drawing, name: str, edge: str, axis: int, places: Any) -> str:
    return drawing.node("Gather", name, [edge, drawing.longs(f"{name}/places", places)], {"axis": axis})


def _gather(drawing: Drawing, bound: Bound) -> None:
    inputs = [*_edges(drawing, bound), drawing.constant(bound.operator.constants["indices"])]
    attributes = {"axis": bound.number("axis")}
    drawing.put(bound.output, drawing.node("Gather", bound.operator.name, inputs, attributes))


def _resize_nearest(drawing: Drawing, bound: Bound) -> None:
    """Rows, then columns, gathered."""
    edge = _edges(drawing, bound)[0]
    for axis in (2, 3):
        edge = _gathered(drawing, bound.operator.name, edge, axis, nearest(bound, axis))
    drawing.put(bound.output, edge)


def _resize_bilinear(drawing: Drawing, bound: Bound) -> None:
    name = bound.operator.name
    corners, centres = bound.number("align_corners"), bound.number("half_pixel")
    places = "align_corners" if corners else "half_pixel" if centres else "asymmetric"
    sizes = drawing.longs(f"{name}/sizes", bound.output.shape)
    attributes = {"mode": "linear", "coordinate_transformation_mode": places}
    inputs = [_edges(drawing, bound)[0], "", "", sizes]
    drawing.put(bound.output, drawing.node("Resize", name, inputs, attributes))


def _bounded(drawing: Drawing, bound: Bound, edge: str) -> None:
    """Within `low` and `high`, where these limit anything; to the output."""
    low, high = (float(bound.constant(role)) for role in ("low", "high"))
    if low > -_LARGEST or high < _LARGEST:
        limits = [drawing.number(low, np.float32), drawing.number(high, np.float32)]
        edge = drawing.node("Clip", bound.operator.name, [edge, *limits])
    drawing.put(bound.output, edge)


def _binary(drawing: Drawing, bound: Bound) -> None:
    op = _BINARY[bound.text("op")]
    _bounded(drawing, bound, drawing.node(op, bound.operator.name, _edges(drawing, bound)))


def _unary(drawing: Drawing, bound: Bound) -> None:
    name, op, edge = bound.operator.name, bound.text("op"), _edges(drawing, bound)[0]
    if op == "square":
        found = drawing.node("Mul", name, [edge, edge])
    elif op == "rsqrt":
        found = drawing.node("Reciprocal", name, [drawing.node("Sqrt", name, [edge])])
    elif op == "logical_not":
        is_zero = drawing.node("Equal", name, [edge, drawing.number(0, np.float32)])
        found = drawing.node("Cast", name, [is_zero], {"to": TensorProto.FLOAT})
    else:
        found = drawing.node(_UNARY[op], name, [edge])
    drawing.put(bound.output, found)


def _sigmoid(drawing: Drawing, bound: Bound) -> None:
    drawing.put(bound.output, drawing.node("Sigmoid", bound.operator.name, _edges(drawing, bound)))


def _conv(drawing: Drawing, bound: Bound) -> None:
    name, constants = bound.operator.name, bound.operator.constants
    attributes: dict[str, Any] = {"kernel_shape": bound.constant("weight").shape[2:]}
    attributes |= {key: bound.numbers(key) for key in ("strides", "pads", "dilations")}
    attributes |= {"group": bound.number("group")}
    inputs = [*_edges(drawing, bound), *(drawing.constant(constants[role]) for role in ("weight", "bias"))]
    _bounded(drawing, bound, drawing.node("Conv", name, inputs, attributes))


def _matmul(drawing: Drawing, bound: Bound) -> None:
    name, bias = bound.operator.name, drawing.constant(bound.operator.constants["bias"])
    product = drawing.node("MatMul", name, _edges(drawing, bound))
    _bounded(drawing, bound, drawing.node("Add", name, [product, bias]))


def _window(drawing: Drawing, bound: Bound) -> None:
    op = "MaxPool" if bound.text("op") == "max" else "AveragePool"
    attributes = {"kernel_shape": bound.numbers("kernel")}
    attributes |= {key: bound.numbers(key) for key in ("strides", "pads", "dilations")}
    _bounded(drawing, bound, drawing.node(op, bound.operator.name, _edges(drawing, bound), attributes))


def _reduce(drawing: Drawing, bound: Bound) -> None:
    name = bound.operator.name
    inputs = [*_edges(drawing, bound), drawing.longs(f"{name}/axes", bound.numbers("axes"))]
    attributes = {"keepdims": bound.number("keep")}
    drawing.put(bound.output, drawing.node(_REDUCE[bound.text("op")], name, inputs, attributes))


def _softmax(drawing: Drawing, bound: Bound) -> None:
    attributes = {"axis": bound.number("axis")}
    edges = _edges(drawing, bound)
    drawing.put(bound.output, drawing.node("Softmax", bound.operator.name, edges, attributes))


def _arg(drawing: Drawing, bound: Bound) -> None:
    name, op = bound.operator.name, "ArgMax" if bound.text("op") == "max" else "ArgMin"
    attributes = {"axis": bound.number("axis"), "keepdims": bound.number("keep")}
    places = drawing.node(op, name, _edges(drawing, bound), attributes)
    drawing.put(bound.output, _whole(drawing, name, places, bound.output))


def _whole(drawing: Drawing, name: str, places: str, made: QuantizedTensor) -> str:
    """Places, which ONNX has with 64 bits, with as many as are wanted."""
    return places if made.bits == 64 else drawing.node("Cast", name, [places], {"to": TensorProto.INT32})


def _topk(drawing: Drawing, bound: Bound) -> None:
    name, places = bound.operator.name, bound.operator.outputs[1]
    count = drawing.longs(f"{name}/k", [bound.number("k")])
    attributes = {"axis": bound.number("axis"), "largest": 0}
    edges = drawing.node_of("TopK", name, [*_edges(drawing, bound), count], 2, attributes)
    drawing.put(bound.output, edges[0])
    drawing.put(bound.model.tensors[places], edges[1])


def _convert(drawing: Drawing, bound: Bound) -> None:
    attributes = {"to": helper.np_dtype_to_tensor_dtype(bound.output.dtype)}
    drawing.put(bound.output, drawing.node("Cast", bound.operator.name, _edges(drawing, bound), attributes))


DRAWERS: dict[str, Drawer] = {
    "kpu_conv": kpu_conv,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "lookup": _lookup,
    "reshape": _shaped("Reshape"),
    "transpose": _transpose,
    "slice": _slice,
    "concat": _concat,
    "join": _concat,
    "pad": _pad,
    "expand": _shaped("Expand"),
    "gather": _gather,
    "resize_nearest": _resize_nearest,
    "binary": _binary,
    "unary": _unary,
    "sigmoid": _sigmoid,
    "conv": _conv,
    "matmul": _matmul,
    "window": _window,
    "reduce": _reduce,
    "softmax": _softmax,
    "resize_bilinear": _resize_bilinear,
    "arg": _arg,
    "topk": _topk,
    "convert": _convert,
}
