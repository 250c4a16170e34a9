"""Whether a fixed model is one: names, shapes, types, ranges, and the proof that no accumulator overflows."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.checking import Rules, check
from modelbuild.arithmetic.fixed_model import FixedModel, Integers, QuantizedTensor
from modelbuild.arithmetic.kpu.validation import RULES as KPU_RULES
from modelbuild.arithmetic.number import LARGEST_SHIFT, accumulator_limit, multiplier_limit
from modelbuild.arithmetic.operator_shapes import need
from modelbuild.arithmetic.operators import OPERATORS, OperatorKind
from modelbuild.errors import EXIT_USER, ModelbuildError

ARITHMETIC = "multiplier_shift@1"
_SHIFTS = ("shift", "shifts", "negative_shift")
_MULTIPLIERS = (
    "multiplier",
    "multipliers",
    "input_multiplier",
    "other_multiplier",
    "negative_multiplier",
)


def validate(model: FixedModel, exit_code: int = EXIT_USER) -> None:
    """Raise `ModelbuildError` at the first thing that docs/arithmetic.md does not allow in a model of any of
    its number systems."""
    if model.arithmetic in KPU_RULES:
        check(model, KPU_RULES[model.arithmetic], exit_code)
    elif model.arithmetic == ARITHMETIC:
        check(model, RULES, exit_code)
    else:
        raise ModelbuildError(
            f"there is no arithmetic {model.arithmetic!r}",
            where=f"model {model.name!r}",
            why=f"those that there are: {', '.join((ARITHMETIC, *KPU_RULES))}",
            exit_code=exit_code,
        )


def _check_tensor(tensor: QuantizedTensor) -> None:
    need(not tensor.floating, "it holds floats, which this arithmetic lacks")
    need(tensor.bits in (8, 16), f"{tensor.bits} bits; only 8 and 16 exist")


def _check_values(tensor: QuantizedTensor, values: Integers) -> None:
    need(int(values.min()) >= tensor.low and int(values.max()) <= tensor.high, "the constant does not fit")


def _check_constant(kind: OperatorKind, role: str, values: Integers) -> None:
    axes = kind.constants[role]
    need(values.dtype.kind in "iu", f"the constant {role} must hold integers")
    need(values.ndim == axes and values.size > 0, f"the constant {role} must have {axes} axes")
    limit = 1 << (15 if role == "weight" else 47 if role == "bias" else 31)
    wide = values.astype(np.int64)
    need(bool((np.abs(wide) <= limit).all()), f"the constant {role} is out of range")


def _check_numbers(bound: Bound, kind: OperatorKind) -> None:
    if kind.keeps_scale:
        _check_same_numbers(bound)
    if kind.largest_sum is not None:
        largest, limit = kind.largest_sum(bound), accumulator_limit(bound.operand_bits)
        need(largest < limit, f"the accumulator may reach {largest}; the limit is {limit}")


def _check_ranges(bound: Bound, _: OperatorKind) -> None:
    parameters, output = bound.operator.parameters, bound.output
    limit = multiplier_limit(bound.operand_bits)
    for name in _SHIFTS:
        for value in _numbers(bound, name):
            need(0 <= value <= LARGEST_SHIFT, f"{name} {value} is outside 0...{LARGEST_SHIFT}")
    for name in _MULTIPLIERS:
        for value in _numbers(bound, name):
            need(abs(value) < limit, f"{name} {value} does not stay below {limit}")
    if "low" in parameters:
        low, high = bound.number("low"), bound.number("high")
        need(output.low <= low <= high <= output.high, f"low {low} and high {high} do not fit the output")
    zeros = [("input_zero", bound.inputs[0]), ("output_zero", output)]
    if "other_zero" in parameters:
        zeros.append(("other_zero", bound.inputs[1]))
    if "input_zeros" in parameters:
        need(
            len(bound.numbers("input_zeros")) == len(bound.inputs),
            "input_zeros must have one number an input",
        )
        for value, tensor in zip(bound.numbers("input_zeros"), bound.inputs, strict=True):
            need(tensor.low <= value <= tensor.high, f"the zero point {value} does not fit its input")
    for name, tensor in zeros:
        if name in parameters:
            need(tensor.low <= bound.number(name) <= tensor.high, f"{name} does not fit its tensor")


def _numbers(bound: Bound, name: str) -> list[int]:
    """A parameter or constant of this name as a list, empty if the operator has none."""
    if name in bound.operator.constants:
        return [int(value) for value in bound.constant(name)]
    if name not in bound.operator.parameters:
        return []
    value = bound.operator.parameters[name]
    return list(bound.numbers(name)) if isinstance(value, tuple) else [bound.number(name)]


def _check_same_numbers(bound: Bound) -> None:
    """An operator that moves integers has one number format on both sides."""
    x, y = bound.inputs[0], bound.output
    same = (x.bits, x.signed, x.scale, x.zero_point) == (y.bits, y.signed, y.scale, y.zero_point)
    need(same, "input and output must share bits, sign, scale and zero point")


RULES = Rules(
    (ARITHMETIC,),
    OPERATORS,
    _check_tensor,
    _check_values,
    _check_constant,
    _check_ranges,
    _check_numbers,
)
