"""Which operators a number system of docs/arithmetic.md can express, whatever unit runs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.graph.rules import broken
from modelbuild.graph.subject import Subject

_ANY: dict[str, Any] = {}
_POOL: dict[str, Any] = {"rank": 4}
_COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]

# Operator -> the conditions (docs/chips.md) under which `apply` has a definition for it.
_DEFINED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "multiplier_shift@1": {
        "Abs": _ANY,
        "Add": _ANY,
        "AveragePool": {"rank": 4, "dilation": 1},
        "Clip": _ANY,
        "Concat": _ANY,
        "Conv": {"rank": 4, "constant_input": [1, 2]},
        "Div": {"constant_input": [1]},
        "Elu": _ANY,
        "Erf": _ANY,
        "Exp": _ANY,
        "Flatten": _ANY,
        "Gather": {"constant_input": [1]},
        "Gemm": {"constant_input": [1, 2]},
        "GlobalAveragePool": _POOL,
        "GlobalMaxPool": _POOL,
        "HardSigmoid": _ANY,
        "HardSwish": _ANY,
        "LeakyRelu": _ANY,
        "Log": _ANY,
        "MatMul": _ANY,
        "MaxPool": _POOL,
        "Mul": _ANY,
        "Neg": _ANY,
        "PRelu": {"constant_input": [1]},
        "Pad": {"mode": ["constant"]},
        "Pow": {"constant_input": [1]},
        "Reciprocal": _ANY,
        "ReduceMax": _ANY,
        "ReduceMean": _ANY,
        "ReduceSum": _ANY,
        "Relu": _ANY,
        "Reshape": _ANY,
        "Resize": {"rank": 4, "mode": ["nearest", "linear"], "coordinate_mode": _COORDINATES},
        "Sigmoid": _ANY,
        "Slice": {"steps": {"min": 1}},
        "Softmax": _ANY,
        "Softplus": _ANY,
        "Sqrt": _ANY,
        "Squeeze": _ANY,
        "Sub": _ANY,
        "Tanh": _ANY,
        "Transpose": _ANY,
        "Unsqueeze": _ANY,
    }
}


def undefined(subject: Subject, arithmetic: str) -> str:
    """Why the number system cannot express the node; empty where it can."""
    defined = _DEFINED.get(arithmetic, {})
    if subject.node.op not in defined:
        return f"{arithmetic} has no {subject.node.op}"
    reasons = broken(subject, defined[subject.node.op])
    return f"{arithmetic} has it only where this does not hold: {', '.join(reasons)}" if reasons else ""
