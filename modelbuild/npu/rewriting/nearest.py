"""Gathers along rows and columns, as `quantize` writes a nearest-neighbour Resize: made a `resize_linear`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Integers
from modelbuild.npu.rewriting.users import Users

_ONE = 1 << 11  # what each pair of weights sums to
_AXES = (2, 3)


def fold(model: FixedModel) -> FixedModel:
    """A `gather` along rows, columns, or both becomes one `resize_linear` whose weights are 1 and 0: the same
    integers, row by row. The tensor between two vanishes."""
    users = Users(model)
    operators = list(model.operators)
    constants = dict(model.constants)
    gone: set[int] = set()
    seconds: set[int] = set()
    for index, operator in enumerate(model.operators):
        if index in seconds or not _is_gather(model, operator):
            continue
        last, chain = index, [operator]
        behind = users.only_reader(operator.outputs[0])
        if behind is not None and _follows(model, operator, model.operators[behind]):
            chain.append(model.operators[behind])
            last = behind
            gone.add(index)
            seconds.add(behind)
        operators[last] = _resize(model, chain, constants)
    if constants == model.constants:
        return model
    hidden = {model.operators[index].outputs[0] for index in gone}
    return replace(
        model,
        operators=tuple(operator for index, operator in enumerate(operators) if index not in gone),
        tensors={name: tensor for name, tensor in model.tensors.items() if name not in hidden},
        constants=constants,
    )


def _is_gather(model: FixedModel, operator: FixedOperator) -> bool:
    if operator.kind != "gather" or operator.unit != "npu" or operator.inputs[0] in model.constants:
        return False
    source = model.tensors[operator.inputs[0]]
    indices = model.constants[operator.constants["indices"]]
    return (
        len(source.shape) == 4
        and operator.parameters["axis"] in _AXES
        and bool((np.diff(indices) >= 0).all())
        and max(source.shape[2:]) < 1 << 16
    )


def _follows(model: FixedModel, first: FixedOperator, second: FixedOperator) -> bool:
    return _is_gather(model, second) and second.parameters["axis"] != first.parameters["axis"]


def _resize(model: FixedModel, chain: list[FixedOperator], constants: dict[str, Integers]) -> FixedOperator:
    source, target = model.tensors[chain[0].inputs[0]], model.tensors[chain[-1].outputs[0]]
    chosen: dict[int, NDArray[np.int32]] = {
        axis: np.arange(source.shape[axis], dtype=np.int32) for axis in _AXES
    }
    for operator in chain:
        axis = operator.parameters["axis"]
        assert isinstance(axis, int)
        chosen[axis] = model.constants[operator.constants["indices"]].astype(np.int32)
    name = chain[-1].name
    made: dict[str, Integers] = {}
    for axis, role, weights in ((2, "rows", "row_weights"), (3, "columns", "column_weights")):
        made[role] = np.stack([chosen[axis], chosen[axis]], axis=1)
        made[weights] = np.tile(np.array([_ONE, 0], np.int32), (len(chosen[axis]), 1))
    roles = {role: f"{name}/{role}" for role in made}
    constants.update({roles[role]: values for role, values in made.items()})
    return FixedOperator(
        "resize_linear",
        name,
        chain[0].inputs,
        chain[-1].outputs,
        {"output_zero": target.zero_point, "low": target.low, "high": target.high},
        roles,
        tuple(dict.fromkeys(origin for operator in chain for origin in operator.origin)),
        chain[-1].unit,
    )
