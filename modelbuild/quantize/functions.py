"""Functions of one number on float arrays: what a tensor's error becomes in the table that reads it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.plan import Plan

Real = NDArray[np.float64]
Function = Callable[[Real], Real]


def function_after(graph: Graph, plan: Plan, tensor: str) -> Function | None:
    """The function that alone reads `tensor` (and no tensor that shares its scale); else None."""
    if tensor in graph.outputs or tensor in plan.share or tensor in plan.share.values():
        return None
    readers = [step for step in plan.steps if any(tensor in node.inputs for node in step.nodes)]
    if len(readers) != 1 or readers[0].node.op not in _FUNCTIONS:
        return None
    function = _FUNCTIONS[readers[0].node.op](readers[0].node)
    if len(readers[0].nodes) > 1:
        return lambda x: x * function(x)
    return function


def read_by_table(graph: Graph, plan: Plan, tensor: str) -> bool:
    """Whether functions alone read `tensor`: of 16 bits, tables of 256 entries see the upper 8."""
    if tensor in graph.outputs or tensor in plan.share or tensor in plan.share.values():
        return False
    readers = [step for step in plan.steps if any(tensor in node.inputs for node in step.nodes)]
    return bool(readers) and all(step.node.op in _TABLES for step in readers)


def _sigmoid(x: Real) -> Real:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -60.0, 60.0)))


def _number(node: Node, key: str, default: float) -> float:
    value: Any = node.attributes.get(key, default)
    return float(value)


def _hard_sigmoid(node: Node) -> Function:
    alpha, beta = _number(node, "alpha", 0.2), _number(node, "beta", 0.5)
    return lambda x: np.clip(alpha * x + beta, 0.0, 1.0)


def _leaky(node: Node) -> Function:
    alpha = _number(node, "alpha", 0.01)
    return lambda x: np.where(x > 0, x, alpha * x)


def _elu(node: Node) -> Function:
    alpha = _number(node, "alpha", 1.0)
    return lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _tanh_gelu(x: Real) -> Real:
    """Near enough to either form of Gelu to weigh errors by."""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return np.asarray(0.5 * x * (1.0 + np.tanh(inner)))


OUTPUT_FUNCTIONS: dict[str, Function] = {"sigmoid": _sigmoid}  # those that the settings name
_FUNCTIONS: dict[str, Callable[[Node], Function]] = {
    "Sigmoid": lambda node: _sigmoid,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda node: lambda x: x * np.clip(x / 6 + 0.5, 0.0, 1.0),
    "Tanh": lambda node: np.tanh,
    "LeakyRelu": _leaky,
    "Elu": _elu,
    "Gelu": lambda node: _tanh_gelu,
    "Softplus": lambda node: lambda x: np.logaddexp(0.0, x),
    "Relu": lambda node: lambda x: np.maximum(x, 0.0),
}
_TABLES = frozenset(
    {"Softmax", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Erf", "Abs", "Neg", "Softplus", "Softsign", "Pow"}
    | {"Reciprocal", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu", "Selu", "Gelu"}
)
