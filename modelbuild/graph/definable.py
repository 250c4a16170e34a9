"""Which operators have a definition in a number system of docs/arithmetic.md, whatever unit runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelbuild.graph import whole_numbers
from modelbuild.graph.quantized_border import is_port
from modelbuild.graph.repeated import distinct
from modelbuild.graph.rules import Check, broken
from modelbuild.graph.subject import Subject, Undetermined, kernel, pads, spatial

_Forms = tuple[Mapping[str, Any], ...]

_ALWAYS: _Forms = ({},)
_REDUCTION: _Forms = ({"constant_input": [1]},)
_COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
_RESIZE: _Forms = (
    {"mode": ["nearest"], "coordinate_mode": _COORDINATES},
    {"mode": ["linear"], "coordinate_mode": _COORDINATES, "rank": 4, "axes": {"min": 2}},
)
_UNCONDITIONAL = (
    "Abs", "Add", "Concat", "DepthToSpace", "DequantizeLinear", "Elu", "Erf", "Exp", "Expand", "Flatten",
    "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mul", "Neg", "QuantizeLinear", "Reciprocal",
    "Relu", "Reshape", "Selu", "Sigmoid", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt",
    "Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze",
)  # fmt: skip

# What the CPU of a kmodel computes with float32, and the KPU where it can.
_INDEXED: _Forms = ({"constant_input": [1]},)
_FLOATS: Mapping[str, _Forms] = {
    **dict.fromkeys(
        (
            *_UNCONDITIONAL, "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh",
            "Div", "Floor", "LRN", "LogSoftmax", "LpNormalization", "Max", "Mean", "Min", "PRelu", "Pow",
            "Round", "Rsqrt", "Shrink", "Sign", "Sin", "Sinh", "Sum", "Tan", "ThresholdedRelu",
        ),
        _ALWAYS,
    ),
    **dict.fromkeys(
        (
            "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
            "ReduceProd", "ReduceSum", "ReduceSumSquare",
        ),
        _REDUCTION,
    ),
    **dict.fromkeys(
        ("CumSum", "Gather", "GatherElements", "GatherND", "ReverseSequence", "Trilu"), _INDEXED
    ),
    **dict.fromkeys(("ScatterElements", "ScatterND"), _INDEXED),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"), ({"rank": [3, 4]},)),
    **dict.fromkeys(("ArgMax", "ArgMin", "Cast"), _ALWAYS),
    "BatchNormalization": ({"rank": 4, "constant_input": [1, 2, 3, 4]},),
    "Clip": _ALWAYS,
    "Conv": ({"rank": [3, 4], "constant_input": [1, 2]},),
    "ConvTranspose": ({"rank": 4, "constant_input": [1, 2]},),
    "Gemm": ({"constant_input": [1, 2]},),
    "MatMul": _ALWAYS,
    "Pad": ({"mode": ["constant", "edge", "reflect"], "pads": {"min": 0}, "constant_input": [1, 2, 3]},),
    "Resize": _RESIZE,
    "Slice": ({"constant_input": [1, 2, 3, 4]},),
    "TopK": ({"constant_input": [1]},),
    "Upsample": _RESIZE,
}  # fmt: skip

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
        "MatMul": (
            {"rank": {"min": 2}, "other_rank": {"min": 2}},
            {"constant_input": [1], "other_rank": [2]},
        ),
        "MaxPool": ({"rank": [3, 4]},),
        "PRelu": ({"constant_input": [1], "rank": {"min": 2}},),
        "Pad": ({"mode": ["constant", "edge", "reflect"], "pads": {"min": 0}, "constant_input": [1, 2, 3]},),
        "Pow": ({"constant_input": [1]},),
        "ReduceMax": _REDUCTION,
        "ReduceMean": _REDUCTION,
        "ReduceSum": _REDUCTION,
        "Resize": _RESIZE,
        "Slice": ({"constant_input": [1, 2, 3, 4]},),
        "Upsample": _RESIZE,
    },
    "kpu@1": _FLOATS,
    "float32": _FLOATS,
}

# Number systems in which the CPU's part is defined, too, so that nothing else on their chips runs a node.
COMPLETE = frozenset({"kpu@1", "float32"})
_TRUTH = "one whose truth values become float32 by a Where or a Cast"
_RECURRENT = "one of constant weights, known activations and up to 256 steps that are all there"
# What passes of these chips rewrite: which form of an operator they take.
_REWRITTEN: Mapping[str, str] = {
    **dict.fromkeys(
        ("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Where", "Xor"),
        _TRUTH,
    ),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _RECURRENT),
    "InstanceNormalization": "one of constant scale and bias",
    "LayerNormalization": "one whose statistics nobody reads",
}


def _one_slope_a_channel(subject: Subject, _: Any) -> str | None:
    slopes, channels = subject.shape(1), subject.shape()[1]
    rank = len(subject.shape())
    aligned = (1,) * (rank - len(slopes)) + slopes
    allowed = ((1,) * rank, (1, channels, *(1,) * (rank - 2)))
    return None if aligned in allowed else "it has neither one slope nor one a channel"


def _one_exponent(subject: Subject, _: Any) -> str | None:
    count = len(subject.constant(1))
    return None if count == 1 else f"it has {count} exponents"


def _plain_resize(subject: Subject, _: Any) -> str | None:
    blurs = subject.attribute("antialias", 0)
    cut = subject.attribute("exclude_outside", 0) and subject.attribute("mode", "nearest") != "nearest"
    return "it has antialias or exclude_outside" if blurs or cut else None


def _counts_to_the_end(subject: Subject, _: Any) -> str | None:
    both = subject.attribute("ceil_mode", 0) and subject.attribute("count_include_pad", 0)
    return "ceil_mode adds cells to those that count_include_pad counts" if both else None


def _no_indices(subject: Subject, _: Any) -> str | None:
    return "its second output, the indices, is read" if any(subject.node.outputs[1:]) else None


def _not_transposed(subject: Subject, _: Any) -> str | None:
    return "its first input is transposed" if subject.attribute("transA", 0) else None


def _first_of_equals(subject: Subject, _: Any) -> str | None:
    return "the last of equal values is asked for" if subject.attribute("select_last_index", 0) else None


def _between_numbers(subject: Subject, _: Any) -> str | None:
    """Casts of whole numbers; of truth values to float32 nothing is left."""
    names = (subject.node.inputs[0], subject.node.outputs[0])
    types = [subject.graph.dtypes.get(name) for name in names]
    numbers = all(dtype in (*whole_numbers.TYPES, np.float32) for dtype in types)
    whole = whole_numbers.is_whole(subject.graph, names[1]) or names[0] in subject.chosen
    return None if numbers and whole else f"it makes {types[1]} of {types[0]}"


def _within_reach(subject: Subject, _: Any) -> str | None:
    reach = [
        step * (size - 1) for size, step in zip(kernel(subject), spatial(subject, "dilations"), strict=True)
    ]
    given = pads(subject) if len(pads(subject)) == 2 * len(reach) else [0.0] * 2 * len(reach)
    return (
        "it pads by more than its kernel reaches"
        if any(pad > most for pad, most in zip(given, reach * 2, strict=True))
        else None
    )


# What no form above can say: what an operator demands besides, in every number system and in one.
_DEMANDS: Mapping[str, Check] = {
    "ArgMax": _first_of_equals,
    "ArgMin": _first_of_equals,
    "AveragePool": _counts_to_the_end,
    "Cast": _between_numbers,
    "ConvTranspose": _within_reach,
    "Gemm": _not_transposed,
    "MaxPool": _no_indices,
    "Resize": _plain_resize,
}
_OWN_DEMANDS: Mapping[str, Mapping[str, Check]] = {
    "multiplier_shift@1": {"PRelu": _one_slope_a_channel, "Pow": _one_exponent}
}
# Constant inputs that are parameters, not numbers to calculate with; a Clip may well have an infinite bound.
_PARAMETERS: Mapping[str, int] = {"Clip": 1, "Resize": 1, "Upsample": 1}


def undefined(subject: Subject, arithmetic: str) -> str:
    """Why the number system has no definition of the node; empty where it has one."""
    forms = DEFINED.get(arithmetic, {}).get(subject.node.op)
    if forms is None:
        if arithmetic not in COMPLETE:
            return f"{arithmetic} has no {subject.node.op}"
        known = _REWRITTEN.get(subject.node.op, "")
        return f"modelbuild lowers no {subject.node.op}" + (f" but {known}" if known else "")
    reasons = [broken(subject, form) for form in forms]
    found = min(reasons, key=len) if all(reasons) else []
    demand = {**_DEMANDS, **_OWN_DEMANDS.get(arithmetic, {})}.get(subject.node.op)
    if not found and demand is not None:
        found = _demanded(subject, demand)
    if not found and subject.node.op not in whole_numbers.BEHIND:
        found = [f"`{name}` was chosen by places" for name in subject.node.inputs if name in subject.chosen][
            :1
        ]
    if name := not_finite(subject):
        return f"its constant `{name}` holds numbers that are not finite"
    found = found or list(_not_numbers(subject))[:1]
    if not found:
        return ""
    defined = "modelbuild does not lower it" if arithmetic in COMPLETE else f"{arithmetic} does not define it"
    return f"{defined} where {' and '.join(found)}"


def _demanded(subject: Subject, demand: Check) -> list[str]:
    try:
        reason = demand(subject, None)
    except Undetermined as unknown:
        reason = str(unknown)
    return [reason] if reason else []


def not_finite(subject: Subject) -> str:
    """The first constant to calculate with that holds NaN or infinity; empty where there is none."""
    node, constants = subject.node, subject.graph.constants
    for name in node.inputs[: _PARAMETERS.get(node.op)]:
        value = constants.get(name)
        if value is not None and value.dtype.kind == "f" and not np.isfinite(distinct(value)).all():
            return name
    return ""


def _not_numbers(subject: Subject) -> Iterator[str]:
    """Tensors that hold no float32 numbers."""
    node, graph = subject.node, subject.graph
    for name in (*node.inputs[:1], *node.outputs):
        dtype = graph.dtypes.get(name)
        numbers = dtype is None or dtype == np.float32 or is_port(graph, name)
        numbers = numbers or (node.op in whole_numbers.BEHIND and whole_numbers.is_whole(graph, name))
        if name not in graph.constants and not numbers:
            yield f"`{name}` holds {dtype}"
