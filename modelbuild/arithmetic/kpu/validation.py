"""What `kpu@1` and `float32` demand of a model beside names, shapes and order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.checking import Rules
from modelbuild.arithmetic.fixed_model import QuantizedTensor, float_tensor, whole_tensor
from modelbuild.arithmetic.kpu.kinds import (
    CODES,
    FLOAT32,
    INT8,
    KINDS,
    MOVED,
    NUMBERS,
    SAME,
    UINT8,
    WHOLE,
    KpuKind,
)
from modelbuild.arithmetic.kpu.reach import check_reach
from modelbuild.arithmetic.operator_shapes import need

ARITHMETIC = "kpu@1"
FLOATS = "float32"
MAX_SHIFT = 43  # of a segment
KPU_KINDS = ("kpu_conv",)  # those that need a KPU
_FORMATS = {
    UINT8: "bytes without a sign",
    FLOAT32: "float32",
    CODES: "bytes",
    SAME: "bytes without a sign or float32",
    WHOLE: "whole numbers",
    MOVED: "bytes without a sign, float32 or whole numbers",
    NUMBERS: "float32 or whole numbers",
}
_ALLOWED = {
    UINT8: (UINT8,),
    FLOAT32: (FLOAT32,),
    CODES: (UINT8, INT8),
    SAME: (UINT8, FLOAT32),
    WHOLE: (WHOLE,),
    MOVED: (UINT8, FLOAT32, WHOLE),
    NUMBERS: (FLOAT32, WHOLE),
}
_KEEPING = (SAME, MOVED)
_LARGEST: Mapping[str, tuple[int, int]] = {
    "bn_multiplier": (-(1 << 23), (1 << 23) - 1),
    "bn_shift": (0, 15),
    "segment_start": (-(1 << 35), (1 << 35) - 1),
    "segment_shift": (0, MAX_SHIFT),
}


def _check_tensor(tensor: QuantizedTensor) -> None:
    if tensor.floating:
        plain = tensor == float_tensor(tensor.name, tensor.shape)
        need(plain, "floats have 32 bits, the scale 1 and the zero point 0")
    elif tensor.whole:
        plain = tensor.bits in (32, 64) and tensor == whole_tensor(tensor.name, tensor.shape, tensor.bits)
        need(plain, "whole numbers have 32 or 64 bits, a sign, the scale 1 and the zero point 0")
    else:
        need(tensor.bits == 8, "integers have 8 bits")


def _check_values(tensor: QuantizedTensor, values: NDArray[Any]) -> None:
    need(values.dtype == tensor.dtype, f"the constant holds {values.dtype}")
    if tensor.floating:
        need(bool(np.isfinite(values).all()), "the constant holds numbers that are not finite")


def _check_constant(kind: KpuKind, role: str, values: NDArray[Any]) -> None:
    dtype, axes = kind.constants[role]
    need(dtype in (SAME, str(values.dtype)), f"the constant {role} must hold {dtype}")
    need(values.ndim == axes and values.size > 0, f"the constant {role} must have {axes} axes")
    if values.dtype.kind == "f":
        need(bool(np.isfinite(values).all()), f"the constant {role} holds numbers that are not finite")
    if role in _LARGEST:
        least, most = _LARGEST[role]
        inside = int(values.min()) >= least and int(values.max()) <= most
        need(inside, f"the constant {role} leaves {least}...{most}")


def _check_formats(bound: Bound, kind: KpuKind) -> None:
    first, output = bound.inputs[0], bound.output
    for tensor in bound.inputs:
        taken = _format(tensor) in _ALLOWED[kind.takes]
        need(taken, f"the input {tensor.name!r} must hold {_FORMATS[kind.takes]}")
        if kind.makes in _KEEPING:
            need(
                _numbers(tensor) == _numbers(output),
                f"{tensor.name!r} and the output must share type, scale and zero point",
            )
    for name in bound.operator.outputs[1:]:
        also = bound.model.tensors[name]
        need(_format(also) == WHOLE and also.bits == 64, f"the output {name!r} must hold int64")
    if kind.makes not in _KEEPING:
        need(_format(output) in _ALLOWED[kind.makes], f"the output must hold {_FORMATS[kind.makes]}")
    for role, (dtype, _) in kind.constants.items():
        if dtype == SAME:
            need(bound.constant(role).dtype == first.dtype, f"the constant {role} must hold {first.dtype}")
    for name, (least, most) in kind.ranges.items():
        need(least <= bound.number(name) <= most, f"{name} must lie in {least}...{most}")
    for name, allowed in kind.choices.items():
        need(bound.text(name) in allowed, f"{name} {bound.text(name)!r} is none of {', '.join(allowed)}")
    if "low" in kind.constants:
        need(bool(bound.constant("low") <= bound.constant("high")), "low lies above high")


def _check_layer(bound: Bound, _: KpuKind) -> None:
    if bound.operator.kind in KPU_KINDS:
        check_reach(bound)


def _format(tensor: QuantizedTensor) -> str:
    return FLOAT32 if tensor.floating else WHOLE if tensor.whole else INT8 if tensor.signed else UINT8


def _numbers(tensor: QuantizedTensor) -> tuple[bool, int, float, int]:
    return tensor.floating, tensor.bits, tensor.scale, tensor.zero_point


def _rules(arithmetic: str, kinds: Mapping[str, KpuKind]) -> Rules[KpuKind]:
    return Rules(
        (arithmetic,), kinds, _check_tensor, _check_values, _check_constant, _check_formats, _check_layer
    )


RULES: Mapping[str, Rules[KpuKind]] = {
    ARITHMETIC: _rules(ARITHMETIC, KINDS),
    FLOATS: _rules(FLOATS, {name: kind for name, kind in KINDS.items() if name not in KPU_KINDS}),
}
