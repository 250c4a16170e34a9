"""Concatenations of inputs that have another scale: each such input gets a `rescale` of its own."""

from __future__ import annotations

import math
from dataclasses import replace

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Parameter, QuantizedTensor
from modelbuild.npu.planning.views import keeps_integers

_SCALING = ("input_zeros", "multipliers", "shifts")


def fold(model: FixedModel) -> FixedModel:
    """A `concat` whose inputs lie one behind the other in its output only lays them there: what has to be
    rescaled is rescaled by an operator before it, which may be run together with the input's maker."""
    tensors = dict(model.tensors)
    operators: list[FixedOperator] = []
    for operator in model.operators:
        if operator.kind == "concat" and operator.unit == "npu" and _is_contiguous(model, operator):
            operators += _split(model, operator, tensors)
        else:
            operators.append(operator)
    if len(tensors) == len(model.tensors):
        return model
    return replace(model, operators=tuple(operators), tensors=tensors)


def _is_contiguous(model: FixedModel, operator: FixedOperator) -> bool:
    shape = model.tensors[operator.outputs[0]].shape
    axis = operator.parameters["axis"]
    assert isinstance(axis, int)
    return math.prod(shape[: axis % len(shape)]) == 1


def _split(
    model: FixedModel, operator: FixedOperator, tensors: dict[str, QuantizedTensor]
) -> list[FixedOperator]:
    target = model.tensors[operator.outputs[0]]
    columns = {name: list(_integers(operator.parameters[name])) for name in _SCALING}
    inputs, made = list(operator.inputs), []
    for position, name in enumerate(operator.inputs):
        if keeps_integers(model, operator, position) or name in model.constants:
            continue
        zero, multiplier, shift = (columns[column][position] for column in _SCALING)
        fresh = f"{operator.outputs[0]}/part{position}"
        tensors[fresh] = replace(target, name=fresh, shape=model.tensors[name].shape)
        parameters: dict[str, Parameter] = {"input_zero": zero, "multiplier": multiplier, "shift": shift}
        parameters |= {key: operator.parameters[key] for key in ("output_zero", "low", "high")}
        label = f"{operator.name}/part{position}"
        made.append(
            FixedOperator("rescale", label, (name,), (fresh,), parameters, {}, operator.origin, operator.unit)
        )
        inputs[position] = fresh
        for column, value in zip(_SCALING, (target.zero_point, 1, 0), strict=True):
            columns[column][position] = value
    if not made:
        return [operator]
    parameters = {**operator.parameters, **{name: tuple(values) for name, values in columns.items()}}
    parameters |= {"low": target.low, "high": target.high} if len(made) == len(inputs) else {}
    return [*made, replace(operator, inputs=tuple(inputs), parameters=parameters)]


def _integers(value: Parameter) -> tuple[int, ...]:
    assert isinstance(value, tuple)
    return tuple(item for item in value if isinstance(item, int))
