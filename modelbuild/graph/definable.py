"""Which operators have a definition in a number system of docs/arithmetic.md, whatever unit runs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.graph.rules import broken
from modelbuild.graph.subject import Subject

_Forms = tuple[Mapping[str, Any], ...]

_ALWAYS: _Forms = ({},)
_COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
_RESIZE: _Forms = (
    {"mode": ["nearest"], "coordinate_mode": _COORDINATES},
    {"mode": ["linear"], "coordinate_mode": _COORDINATES, "rank": 4, "axes": {"min": 2}},
)
_UNCONDITIONAL = (
    *(
        "Abs",
        "Add",
        "Concat",
        "DepthToSpace",
        "Elu",
        "Erf",
        "Exp",
        "Expand",
        "Flatten",
        "Gelu",
        "HardSigmoid",
    ),
    *("HardSwish", "LeakyRelu", "Log", "MatMul", "Mul", "Neg", "Reciprocal", "ReduceMax", "ReduceMean"),
    *("ReduceSum", "Relu", "Reshape", "Selu", "Sigmoid", "Slice", "Softmax", "Softplus", "Softsign"),
    *("SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze"),
)

# Number system -> operator -> the forms (conditions of docs/chips.md) for which there is a definition.
DEFINED: Mapping[str, Mapping[str, _Forms]] = {
    "multiplier_shift@1": {
        **dict.fromkeys(_UNCONDITIONAL, _ALWAYS),
        "AveragePool": ({"rank": [3, 4], "dilation": 1},),
        "BatchNormalization": ({"rank": 4, "constant_input": [1, 2, 3, 4]},),
        "Clip": ({"constant_input": [1, 2]},),
        "Conv": ({"rank": [3, 4], "constant_input": [1, 2]},),
        "ConvTranspose": ({"rank": 4, "constant_input": [1, 2]},),
        "Div": ({"constant_input": [1]},),
        "Gather": ({"constant_input": [1]},),
        "Gemm": ({"constant_input": [1, 2]},),
        "GlobalAveragePool": ({"rank": [3, 4]},),
        "GlobalMaxPool": ({"rank": [3, 4]},),
        "MaxPool": ({"rank": [3, 4]},),
        "PRelu": ({"constant_input": [1]},),
        "Pad": ({"mode": ["constant", "edge", "reflect"], "pads": {"min": 0}},),
        "Pow": ({"constant_input": [1]},),
        "Resize": _RESIZE,
        "Upsample": _RESIZE,
    }
}


def undefined(subject: Subject, arithmetic: str) -> str:
    """Why the number system has no definition of the node; empty where it has one."""
    forms = DEFINED.get(arithmetic, {}).get(subject.node.op)
    if forms is None:
        return f"{arithmetic} has no {subject.node.op}"
    reasons = [broken(subject, form) for form in forms]
    if not all(reasons):
        return ""
    return f"{arithmetic} does not define it where {' and '.join(min(reasons, key=len))}"
