"""ONNX operators that are functions of one number, on float64 arrays; several of them in a row are one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.chains import Chain
from modelbuild.graph.model import Graph, Node
from modelbuild.kpu.lowering import elementary

Real = NDArray[np.float64]
Function = Callable[[Real], Real]
Operator = Callable[..., Real]  # (node, the inputs that are there ...)

_ROOT_TWO_OVER_PI = 0.79788456080286535588
_ROOT_HALF = 0.70710678118654752440


def number(node: Node, key: str, default: float) -> float:
    """An attribute as a number."""
    value = node.attributes.get(key, default)
    assert isinstance(value, int | float)
    return float(value)


def _hard_sigmoid(node: Node, x: Real) -> Real:
    return np.clip(x * number(node, "alpha", 0.2) + number(node, "beta", 0.5), 0.0, 1.0)


def _elu(node: Node, x: Real) -> Real:
    low = number(node, "alpha", 1.0) * (elementary.exp(np.minimum(x, 0.0)) - 1.0)
    return np.where(x > 0.0, x, low)


def _selu(node: Node, x: Real) -> Real:
    alpha = number(node, "alpha", 1.67326319217681884765625)
    low = alpha * (elementary.exp(np.minimum(x, 0.0)) - 1.0)
    return number(node, "gamma", 1.05070102214813232421875) * np.where(x > 0.0, x, low)


def _celu(node: Node, x: Real) -> Real:
    alpha = number(node, "alpha", 1.0)
    return np.maximum(x, 0.0) + alpha * (elementary.exp(np.minimum(x, 0.0) / alpha) - 1.0)


def _shrink(node: Node, x: Real) -> Real:
    limit, bias = number(node, "lambd", 0.5), number(node, "bias", 0.0)
    return np.where(x > limit, x - bias, np.where(x < -limit, x + bias, 0.0))


def _thresholded(node: Node, x: Real) -> Real:
    return np.where(x > number(node, "alpha", 1.0), x, 0.0)


def _gelu(node: Node, x: Real) -> Real:
    if node.attributes.get("approximate") == "tanh":
        return x * (1.0 + elementary.tanh(_ROOT_TWO_OVER_PI * (x + 0.044715 * x * x * x))) / 2.0
    return x * (1.0 + elementary.erf(x * _ROOT_HALF)) / 2.0


def _clip(node: Node, x: Real, *bounds: Real) -> Real:
    given = node.inputs[1:3]
    values = iter(bounds)
    if len(given) > 0 and given[0]:
        x = np.maximum(x, next(values))
    if len(given) > 1 and given[1]:
        x = np.minimum(x, next(values))
    return x


def _leaky(node: Node, x: Real, *_: Real) -> Real:
    return np.where(x > 0.0, x, number(node, "alpha", 0.01) * x)


def _plain(function: Callable[..., Real]) -> Operator:
    return lambda node, *inputs: np.asarray(function(*inputs), np.float64)


def _reciprocal(x: Real) -> Real:
    return np.asarray(1.0 / np.where(x == 0.0, 1e-300, x))


# Exact in float32, one operation after the other, on every machine.
SIMPLE: Mapping[str, Operator] = {
    "Abs": _plain(np.abs),
    "Add": _plain(np.add),
    "Ceil": _plain(np.ceil),
    "Clip": _clip,
    "Div": _plain(lambda a, b: a / np.where(b == 0.0, 1e-300, b)),
    "Floor": _plain(np.floor),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0)),
    "LeakyRelu": _leaky,
    "Max": _plain(lambda *values: np.maximum.reduce(np.broadcast_arrays(*values))),
    "Min": _plain(lambda *values: np.minimum.reduce(np.broadcast_arrays(*values))),
    "Mul": _plain(np.multiply),
    "Neg": _plain(np.negative),
    "PRelu": _plain(lambda x, slope: np.where(x > 0.0, x, slope * x)),
    "Relu": _plain(lambda x: np.maximum(x, 0.0)),
    "Round": _plain(np.rint),
    "Sign": _plain(np.sign),
    "Sub": _plain(np.subtract),
    "ThresholdedRelu": _thresholded,
}
OPERATORS: Mapping[str, Operator] = {
    **SIMPLE,
    "Acos": _plain(elementary.acos),
    "Acosh": _plain(elementary.acosh),
    "Asin": _plain(elementary.asin),
    "Asinh": _plain(elementary.asinh),
    "Atan": _plain(elementary.atan),
    "Atanh": _plain(elementary.atanh),
    "Celu": _celu,
    "Elu": _elu,
    "Erf": _plain(elementary.erf),
    "Exp": _plain(elementary.exp),
    "Gelu": _gelu,
    "Log": _plain(elementary.log),
    "Pow": _plain(lambda x, exponent: elementary.power(x, float(exponent))),
    "Reciprocal": _plain(_reciprocal),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": _plain(elementary.sigmoid),
    "Softplus": _plain(elementary.softplus),
    "Softsign": _plain(lambda x: x / (1.0 + np.abs(x))),
    "Sqrt": _plain(lambda x: np.sqrt(np.maximum(x, 0.0))),
    "Tanh": _plain(elementary.tanh),
}


def of_chain(chain: Chain) -> Function:
    """What its nodes compute, on float64."""
    return joined(chain.graph, chain.nodes, chain.start, chain.end)


def is_simple(chain: Chain) -> bool:
    """Whether each of its nodes is a few exact operations on floats."""
    return all(node.op in SIMPLE for node in chain.nodes)


def joined(graph: Graph, nodes: Sequence[Node], start: str, end: str) -> Function:
    """The function from the tensor `start` to `end` that these nodes, in order, are."""

    def run(x: Real) -> Real:
        values: dict[str, Real] = {start: np.asarray(x, np.float64)}
        for node in nodes:
            inputs = [_value(graph, values, name) for name in node.inputs if name]
            made = np.asarray(OPERATORS[node.op](node, *inputs), np.float64)
            values[node.outputs[0]] = np.array(np.broadcast_to(made, values[start].shape))
        return values[end]

    return run


def _value(graph: Graph, values: Mapping[str, Real], name: str) -> Real:
    if name in values:
        return values[name]
    return np.asarray(np.asarray(graph.constants[name], np.float64).reshape(-1)[0])
