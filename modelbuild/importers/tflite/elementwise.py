"""Operators on every element: arithmetic, activations, comparisons; and the few that look along one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from modelbuild.graph.model import Attribute
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.formulas import gelu_factors
from modelbuild.importers.tflite.layer import RAW, Layer, Rule

_L2_EPSILON = 1e-6  # TFLite's reference kernel divides by no less


def _simple(layer: Layer, op: str, count: int = 1) -> None:
    """One ONNX operator that does the same on `count` inputs."""
    ops.elementwise(layer.writer, op, [layer.input(index) for index in range(count)], layer.output)


def _arithmetic(layer: Layer, op: str, saturates: bool = False) -> None:
    """Two tensors that broadcast, with a fused activation."""
    inputs = [layer.input(0), layer.input(1)]
    entries = [layer.state.kept.get(name) for name in inputs]
    positive = [entry is not None and entry.range()[0] == 0 for entry in entries]
    saturates = saturates and not (op == "Add" and all(positive))

    def write(output: str) -> None:
        ops.elementwise(layer.writer, op, inputs, output)

    layer.activated(layer.option(0, layout="b"), write, saturates)


def _at_one_scale(layer: Layer, op: str, kinds: Sequence[str], makes_codes: bool = True) -> None:
    """A comparison of two tensors, whose codes TFLite takes as they are if they are of `kinds`."""
    names = [layer.input(0), layer.input(1), *([layer.output] if makes_codes else [])]
    layer.at_one_scale(names, kinds)
    _simple(layer, op, 2)


def _of_numbers(layer: Layer, rule: Rule) -> None:
    """An operator that TFLite computes with the codes themselves, whatever their scale."""
    if any(layer.state.kept.get(name) is not None for name in layer.inputs()):
        raise layer.wrong("has a quantized input", RAW, "convert it again with this operator in floats")
    rule(layer)


def _chain(layer: Layer, steps: Sequence[str], count: int = 1) -> None:
    """The first of `steps` on the inputs, each further one on its result."""
    name, inputs = layer.output, [layer.input(index) for index in range(count)]
    for index, op in enumerate(steps):
        last = index == len(steps) - 1
        output = name if last else layer.writer.scratch(f"{name}_{op.lower()}")
        ops.elementwise(layer.writer, op, inputs, output)
        inputs = [output]


def _limited(layer: Layer, low: float, high: float | None) -> None:
    ops.clip(layer.writer, layer.input(0), layer.output, low, high)


def _leaky_relu(layer: Layer) -> None:
    ops.elementwise(
        layer.writer, "LeakyRelu", [layer.input(0)], layer.output, {"alpha": float(layer.real(0))}
    )


def _prelu(layer: Layer) -> None:
    """ONNX's slope broadcasts to the data, never the data to the slope."""
    w, data, slope = layer.writer, layer.input(0), layer.input(1)
    order, pairs = w.order(data), zip(reversed(w.shape(slope)), reversed(w.shape(data)), strict=False)
    fits = all(size in (1, wanted) for size, wanted in pairs)
    if not fits or len(w.shape(slope)) > len(order):
        raise layer.wrong(f"has slopes {list(w.shape(slope))} for {list(w.shape(data))}")
    w.emit("PRelu", [w.ordered(data, order), w.aligned(slope, order)], {layer.output: order})


def constant(layer: Layer, word: str, value: float) -> str:
    """A number as a source tensor."""
    w = layer.writer
    name = w.scratch(f"{layer.output}_{word}")
    w.constant(name, np.array(value, np.float32))
    return name


def step(layer: Layer, op: str, inputs: Sequence[str], word: str) -> str:
    """An elementwise node whose result is named by `word`."""
    name = layer.writer.scratch(f"{layer.output}_{word}")
    ops.elementwise(layer.writer, op, inputs, name)
    return name


def _gelu(layer: Layer) -> None:
    """The product of `gelu_factors`."""

    def make(op: str, *inputs: str) -> str:
        return step(layer, op, inputs, op.lower())

    number, approximate = partial(constant, layer, "number"), bool(layer.option(0, layout="B"))
    factors = gelu_factors(make, number, layer.input(0), approximate)
    ops.elementwise(layer.writer, "Mul", factors, layer.output)


def _squared_difference(layer: Layer) -> None:
    difference = step(layer, "Sub", [layer.input(0), layer.input(1)], "difference")
    ops.elementwise(layer.writer, "Mul", [difference, difference], layer.output)


def _square(layer: Layer) -> None:
    ops.elementwise(layer.writer, "Mul", [layer.input(0)] * 2, layer.output)


def _floor_divide(layer: Layer) -> None:
    """Of integers (x - x mod y) / y, since ONNX's Div rounds towards 0 and its Mod has the sign of y."""
    x, y = layer.input(0), layer.input(1)
    if layer.writer.dtype(x).kind == "f":
        _chain(layer, ["Div", "Floor"], 2)
        return
    multiple = step(layer, "Sub", [x, step(layer, "Mod", [x, y], "rest")], "multiple")
    ops.elementwise(layer.writer, "Div", [multiple, y], layer.output)


def _floor_modulo(layer: Layer) -> None:
    """x - floor(x / y) * y, as TFLite computes it for floats; ONNX's Mod is the same for integers."""
    x, y = layer.input(0), layer.input(1)
    if layer.writer.dtype(x).kind != "f":
        ops.elementwise(layer.writer, "Mod", [x, y], layer.output)
        return
    floor = step(layer, "Floor", [step(layer, "Div", [x, y], "quotient")], "floor")
    ops.elementwise(layer.writer, "Sub", [x, step(layer, "Mul", [floor, y], "product")], layer.output)


def _sum_of_all(layer: Layer) -> None:
    """ADD_N, two at a time: Add is what chips have."""
    names = [layer.input(0), *layer.inputs()[1:]]
    total = names[0]
    for index, name in enumerate(names[1:], 1):
        last = index == len(names) - 1
        output = layer.output if last else layer.writer.scratch(f"{layer.output}_sum")
        ops.elementwise(layer.writer, "Add", [total, name], output)
        total = output
    if len(names) == 1:
        ops.elementwise(layer.writer, "Identity", [total], layer.output)


def _select(layer: Layer, broadcasts: bool) -> None:
    condition, yes, no = (layer.input(index) for index in range(3))
    shapes = [layer.writer.shape(name) for name in (condition, yes, no)]
    if not broadcasts and len(shapes[0]) == 1 < len(shapes[1]) and shapes[0] == shapes[1][:1]:
        rows = layer.writer.scratch(f"{layer.output}_rows")  # SELECT takes a vector for whole rows
        ops.reshape(layer.writer, condition, rows, (*shapes[0], *[1] * (len(shapes[1]) - 1)))
        condition = rows
    elif not broadcasts and (shapes[1] != shapes[2] or shapes[0] not in ((), (1,), shapes[1])):
        raise layer.wrong(f"chooses among {shapes[1]} and {shapes[2]} by {shapes[0]}, which is not supported")
    ops.elementwise(layer.writer, "Where", [condition, yes, no], layer.output)


def _softmax(layer: Layer) -> None:
    """softmax(beta * x) along the last axis."""
    data, beta = layer.input(0), layer.real(0)
    if beta != 1.0:
        data = step(layer, "Mul", [data, constant(layer, "beta", beta)], "scaled")
    ops.along(layer.writer, "Softmax", [data], [layer.output], layer.axis(-1, layer.rank(0)))


def _log_softmax(layer: Layer) -> None:
    ops.along(layer.writer, "LogSoftmax", [layer.input(0)], [layer.output], layer.axis(-1, layer.rank(0)))


def _l2_normalization(layer: Layer) -> None:
    """x / max(sqrt(sum of x^2 along the last axis), 1e-6)."""
    w, data = layer.writer, layer.input(0)
    norm = w.scratch(f"{layer.output}_norm")
    ops.reduce(w, "ReduceL2", data, norm, [layer.axis(-1, layer.rank(0))], keep=True)
    limited = w.scratch(f"{layer.output}_limited")
    ops.clip(w, norm, limited, _L2_EPSILON, None)
    ops.elementwise(w, "Div", [data, limited], layer.output)


def _local_response_normalization(layer: Layer) -> None:
    """TFLite's alpha multiplies the sum of squares, ONNX's their mean over the `size` channels."""
    size = 2 * layer.option(0) + 1
    if layer.rank(0) != 4 or not 0 < size < 2**16:
        raise layer.wrong(f"has {layer.rank(0)} axes and the radius {layer.option(0)}")
    attributes: dict[str, Attribute] = {
        "size": size,
        "bias": layer.real(1),
        "alpha": layer.real(2) * size,
        "beta": layer.real(3),
    }
    ops.spatial(layer.writer, "LRN", layer.input(0), [], layer.output, attributes)


_UNARY: Mapping[str, str] = {
    **{name: name.capitalize() for name in ("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "LOG")},
    **{name: name.capitalize() for name in ("RELU", "ROUND", "SIGN", "SIN", "SQRT", "TANH")},
    "HARD_SWISH": "HardSwish",
    "LOGICAL_NOT": "Not",
    "LOGISTIC": "Sigmoid",
}
_BINARY: Mapping[str, str] = {
    "LOGICAL_AND": "And",
    "LOGICAL_OR": "Or",
    "POW": "Pow",
}
_COMPARISONS: Mapping[str, str] = {
    **{name: name.capitalize() for name in ("EQUAL", "GREATER", "LESS")},
    "GREATER_EQUAL": "GreaterOrEqual",
    "LESS_EQUAL": "LessOrEqual",
}
_CODES = ("int8", "uint8", "int16")
RULES: Mapping[str, Rule] = {
    **{name: partial(_simple, op=op) for name, op in _UNARY.items()},
    **{name: partial(_simple, op=op, count=2) for name, op in _BINARY.items()},
    **{
        name: partial(_at_one_scale, op=op, kinds=("int16",), makes_codes=False)
        for name, op in _COMPARISONS.items()
    },
    "ADD": partial(_arithmetic, op="Add", saturates=True),
    "ADD_N": _sum_of_all,
    "DIV": partial(_arithmetic, op="Div"),
    "FLOOR_DIV": partial(_of_numbers, rule=_floor_divide),
    "FLOOR_MOD": partial(_of_numbers, rule=_floor_modulo),
    "GELU": _gelu,
    "L2_NORMALIZATION": _l2_normalization,
    "LEAKY_RELU": _leaky_relu,
    "LOCAL_RESPONSE_NORMALIZATION": _local_response_normalization,
    "LOG_SOFTMAX": _log_softmax,
    "MAXIMUM": partial(_at_one_scale, op="Max", kinds=_CODES),
    "MINIMUM": partial(_at_one_scale, op="Min", kinds=_CODES),
    "MUL": partial(_arithmetic, op="Mul"),
    "NEG": partial(_of_numbers, rule=partial(_simple, op="Neg")),
    "NOT_EQUAL": partial(_chain, steps=("Equal", "Not"), count=2),
    "PRELU": _prelu,
    "RELU6": partial(_limited, low=0.0, high=6.0),
    "RELU_0_TO_1": partial(_limited, low=0.0, high=1.0),
    "RELU_N1_TO_1": partial(_limited, low=-1.0, high=1.0),
    "RSQRT": partial(_chain, steps=("Sqrt", "Reciprocal")),
    "SELECT": partial(_select, broadcasts=False),
    "SELECT_V2": partial(_select, broadcasts=True),
    "SOFTMAX": _softmax,
    "SQUARE": _square,
    "SQUARED_DIFFERENCE": _squared_difference,
    "SUB": partial(_arithmetic, op="Sub", saturates=True),
}
