"""Whether a fixed model is one: names, shapes, types, ranges, and the proof that no accumulator overflows."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from modelbuild.arithmetic.binding import Bound, bind
from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Parameter, QuantizedTensor
from modelbuild.arithmetic.number import LARGEST_SHIFT, accumulator_limit, multiplier_limit
from modelbuild.arithmetic.operator_shapes import MOST_CELLS, Misfit, need
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
    """Raise `ModelbuildError` at the first thing that docs/arithmetic.md does not allow."""
    where = f"model {model.name!r}"
    try:
        need(model.arithmetic == ARITHMETIC, f"the arithmetic {model.arithmetic!r} is not {ARITHMETIC!r}")
        for key, tensor in model.tensors.items():
            where = f"tensor {key!r}"
            _check_tensor(model, key, tensor)
        where = f"model {model.name!r}"
        known = _sources(model)
        for operator in model.operators:
            where = f"operator {operator.name!r} ({operator.kind})"
            _check_operator(model, operator, known)
        where = f"model {model.name!r}"
        for name in model.outputs:
            need(name in known and name not in model.constants, f"nothing makes the output {name!r}")
        need(len(model.outputs) > 0, "there is no output")
    except Misfit as misfit:
        raise ModelbuildError(str(misfit), where=where, exit_code=exit_code) from None


def _sources(model: FixedModel) -> set[str]:
    """Tensors that exist before the first operator."""
    for name in model.inputs:
        need(name in model.tensors, f"the input {name!r} is not among the tensors")
        need(name not in model.constants, f"the input {name!r} is a constant as well")
    return {*model.inputs, *(name for name in model.tensors if name in model.constants)}


def _check_tensor(model: FixedModel, key: str, tensor: QuantizedTensor) -> None:
    need(tensor.name == key, f"it is called {tensor.name!r}")
    need(not tensor.floating, "it holds floats, which this arithmetic lacks")
    need(tensor.bits in (8, 16), f"{tensor.bits} bits; only 8 and 16 exist")
    need(math.isfinite(tensor.scale) and tensor.scale > 0, f"the scale {tensor.scale!r} is not above 0")
    need(tensor.low <= tensor.zero_point <= tensor.high, f"the zero point {tensor.zero_point} does not fit")
    need(all(size > 0 for size in tensor.shape) and len(tensor.shape) <= 8, "every axis must be above 0")
    need(math.prod(tensor.shape) < MOST_CELLS, "it is too large")
    if key in model.constants:
        values = model.constants[key]
        need(values.shape == tensor.shape, "the constant has another shape")
        need(
            int(values.min()) >= tensor.low and int(values.max()) <= tensor.high, "the constant does not fit"
        )


def _check_operator(model: FixedModel, operator: FixedOperator, known: set[str]) -> None:
    kind = OPERATORS.get(operator.kind)
    if kind is None:
        raise Misfit("there is no such kind of operator")
    need(operator.unit in ("npu", "cpu"), f"the unit {operator.unit!r} is neither npu nor cpu")
    need(kind.inputs[0] <= len(operator.inputs) <= kind.inputs[1], "wrong number of inputs")
    need(len(operator.outputs) == 1, "it must have one output")
    for name in operator.inputs:
        need(name in known, f"the input {name!r} is not made before")
    output = operator.outputs[0]
    need(output in model.tensors, f"the output {output!r} is not among the tensors")
    need(output not in known, f"the output {output!r} is made twice")
    known.add(output)
    _check_parameters(operator.parameters, kind)
    _check_constants(model, operator, kind)
    bound = bind(model, operator)
    _check_ranges(bound)
    shape = kind.shape(bound)
    need(shape == bound.output.shape, f"it makes {list(shape)}, the tensor is {list(bound.output.shape)}")
    if kind.keeps_scale:
        _check_same_numbers(bound)
    if kind.largest_sum is not None:
        largest, limit = kind.largest_sum(bound), accumulator_limit(bound.operand_bits)
        need(largest < limit, f"the accumulator may reach {largest}; the limit is {limit}")


def _check_parameters(parameters: Mapping[str, Parameter], kind: OperatorKind) -> None:
    need(set(parameters) == set(kind.parameters), f"the parameters must be {sorted(kind.parameters)}")
    for name, form in kind.parameters.items():
        value = parameters[name]
        if form == "int":
            need(_is_int(value), f"the parameter {name} must be an integer")
        else:
            listed = isinstance(value, tuple) and all(_is_int(item) for item in value)
            need(listed, f"the parameter {name} must be a list of integers")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_constants(model: FixedModel, operator: FixedOperator, kind: OperatorKind) -> None:
    need(set(operator.constants) == set(kind.constants), f"the constants must be {sorted(kind.constants)}")
    for role, axes in kind.constants.items():
        name = operator.constants[role]
        if name not in model.constants:
            raise Misfit(f"the constant {name!r} ({role}) is missing")
        values = model.constants[name]
        need(values.dtype.kind in "iu", f"the constant {role} must hold integers")
        need(values.ndim == axes and values.size > 0, f"the constant {role} must have {axes} axes")
        limit = 1 << (15 if role == "weight" else 47 if role == "bias" else 31)
        wide = values.astype(np.int64)
        need(bool((np.abs(wide) <= limit).all()), f"the constant {role} is out of range")


def _check_ranges(bound: Bound) -> None:
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
