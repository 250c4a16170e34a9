"""The operators of `kpu@1` and `float32` as a table: what each takes, makes, and in which formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from modelbuild.arithmetic import operator_shapes
from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.kpu import shapes

UINT8, INT8, FLOAT32, SAME, CODES = "uint8", "int8", "float32", "same", "codes"
WHOLE, MOVED, NUMBERS = "whole", "moved", "numbers"
UNARY = (
    "abs", "acos", "asin", "ceil", "cos", "erf", "exp", "floor", "log", "logical_not", "neg", "round",
    "rsqrt", "sign", "sin", "sqrt", "square", "tanh",
)  # fmt: skip
BINARY = ("add", "sub", "mul", "div", "min", "max", "pow")
REDUCTIONS = ("mean", "min", "max", "sum")
WINDOWS = ("max", "mean")
ENDS = ("min", "max")


class Form(NamedTuple):
    """How a constant is stored; the type SAME is that of the operator's output."""

    dtype: str
    axes: int


@dataclass(frozen=True)
class KpuKind:
    """`parameters`: name -> "int", "ints" or "text". `ranges`: name -> least and most of an integer;
    `choices`: name -> what a text may be. `takes` and `makes` are UINT8 or FLOAT32; SAME: either, and where
    it makes SAME, that of the first input with its scale and zero point, which all inputs share; CODES: UINT8
    or INT8, which a model's inputs and outputs alone hold. MOVED is SAME that takes WHOLE, too: int32 or
    int64; NUMBERS: WHOLE or FLOAT32. `outputs`: how many there are; all but the first hold WHOLE, in its
    shape."""

    inputs: tuple[int, int]
    takes: str
    makes: str
    shape: Callable[[Bound], tuple[int, ...]]
    parameters: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Form] = field(default_factory=dict)
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outputs: int = 1


def _parameters(integers: str = "", lists: str = "", texts: str = "") -> dict[str, str]:
    forms = {"int": integers, "ints": lists, "text": texts}
    return {name: form for form, names in forms.items() for name in names.split()}


def _flags(names: str) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(names.split(), (0, 1))


def _signed(bits: int) -> tuple[int, int]:
    return -(1 << bits - 1), (1 << bits - 1) - 1


_NUMBER = Form(FLOAT32, 0)
_LINE = {"factor": _NUMBER, "offset": _NUMBER}
_BOUNDS = {"low": _NUMBER, "high": _NUMBER}
_WINDOW = "strides pads dilations"
_CENTRES = "align_corners half_pixel"


def _move(
    shape: Callable[[Bound], tuple[int, ...]],
    parameters: Mapping[str, str] | None = None,
    constants: Mapping[str, Form] | None = None,
    most: int = 1,
) -> KpuKind:
    return KpuKind((1, most), MOVED, MOVED, shape, parameters or {}, constants or {})


KINDS: dict[str, KpuKind] = {
    "kpu_conv": KpuKind(
        (1, 1),
        UINT8,
        UINT8,
        shapes.kpu_conv,
        _parameters("kernel depthwise pad_value arg_x shift_x arg_w shift_w arg_add", texts="pool"),
        {
            "weight": Form(UINT8, 4),
            "bn_multiplier": Form("int32", 1),
            "bn_add": Form("int32", 1),
            "bn_shift": Form(UINT8, 1),
            "segment_start": Form("int64", 1),
            "segment_multiplier": Form("int16", 1),
            "segment_shift": Form(UINT8, 1),
            "segment_add": Form(UINT8, 1),
        },
        {
            **_flags("depthwise"),
            "pad_value": (0, 255),
            "arg_x": _signed(24),
            "shift_x": (0, 15),
            "arg_w": _signed(24),
            "shift_w": (0, 15),
            "arg_add": _signed(40),
        },
    ),
    "quantize": KpuKind((1, 1), FLOAT32, CODES, shapes.same, constants=_LINE),
    "dequantize": KpuKind((1, 1), CODES, FLOAT32, shapes.same, constants=_LINE),
    "lookup": KpuKind((1, 1), UINT8, UINT8, shapes.lookup, constants={"table": Form(UINT8, 1)}),
    "reshape": _move(shapes.reshape),
    "transpose": _move(shapes.transpose, _parameters("", "permutation")),
    "slice": _move(operator_shapes.slice_axes, _parameters("", "starts ends steps")),
    "concat": _move(operator_shapes.side_by_side, _parameters("axis"), most=4096),
    "join": KpuKind((1, 4096), UINT8, UINT8, operator_shapes.side_by_side, _parameters("axis")),
    "pad": KpuKind(
        (1, 1), SAME, SAME, shapes.pad, _parameters("", "before after", "mode"), {"value": Form(SAME, 0)}
    ),
    "expand": _move(shapes.expand),
    "gather": _move(operator_shapes.gather, _parameters("axis"), {"indices": Form("int32", 1)}),
    "resize_nearest": KpuKind(
        (1, 1), SAME, SAME, shapes.resize, _parameters(_CENTRES), ranges=_flags(_CENTRES)
    ),
    "binary": KpuKind(
        (2, 2),
        FLOAT32,
        FLOAT32,
        shapes.binary,
        _parameters(texts="op"),
        _BOUNDS,
        choices={"op": BINARY},
    ),
    "unary": KpuKind((1, 1), FLOAT32, FLOAT32, shapes.same, _parameters(texts="op"), choices={"op": UNARY}),
    "sigmoid": KpuKind((1, 1), FLOAT32, FLOAT32, shapes.same),
    "conv": KpuKind(
        (1, 1),
        FLOAT32,
        FLOAT32,
        shapes.conv,
        _parameters("group", _WINDOW),
        {"weight": Form(FLOAT32, 4), "bias": Form(FLOAT32, 1), **_BOUNDS},
    ),
    "matmul": KpuKind(
        (2, 2), FLOAT32, FLOAT32, shapes.matmul, constants={"bias": Form(FLOAT32, 1), **_BOUNDS}
    ),
    "window": KpuKind(
        (1, 1),
        FLOAT32,
        FLOAT32,
        operator_shapes.pool,
        _parameters("", "kernel " + _WINDOW, "op"),
        _BOUNDS,
        choices={"op": WINDOWS},
    ),
    "reduce": KpuKind(
        (1, 1),
        FLOAT32,
        FLOAT32,
        shapes.reduced,
        _parameters("keep", "axes", "op"),
        ranges=_flags("keep"),
        choices={"op": REDUCTIONS},
    ),
    "arg": KpuKind(
        (1, 1),
        FLOAT32,
        WHOLE,
        shapes.arg,
        _parameters("axis keep", texts="op"),
        ranges=_flags("keep"),
        choices={"op": ENDS},
    ),
    "topk": KpuKind((1, 1), FLOAT32, FLOAT32, shapes.topk, _parameters("axis k"), outputs=2),
    "convert": KpuKind((1, 1), NUMBERS, NUMBERS, shapes.same),
    "softmax": KpuKind((1, 1), FLOAT32, FLOAT32, shapes.softmax, _parameters("axis")),
    "resize_bilinear": KpuKind(
        (1, 1), FLOAT32, FLOAT32, shapes.resize, _parameters(_CENTRES), ranges=_flags(_CENTRES)
    ),
}
