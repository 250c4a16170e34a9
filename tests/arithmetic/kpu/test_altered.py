"""A model in which something was altered is refused, or it runs: nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel, float_tensor
from modelbuild.arithmetic.kpu import KpuSession
from modelbuild.errors import ModelbuildError
from modelbuild.quantize import fixed_onnx
from tests.arithmetic.dice import Dice
from tests.arithmetic.kpu import made
from tests.arithmetic.kpu.cases import BUILDERS
from tests.arithmetic.kpu.made import byte_tensor
from tests.hypotheses import examples

NUMBERS = (-(1 << 40), -129, -3, -2, -1, 0, 1, 2, 3, 4, 5, 16, 44, 255, 256, 1 << 20, 1 << 31, 1 << 62)
TEXTS = ("", "max", "mean", "bypass", "max_2_s1", "left_top_4_s4", "edge", "symmetric", "add", "exp")


def _one_of(dice: Dice, values: Any) -> Any:
    found = list(values)
    return found[dice.whole(0, len(found) - 1)]


def _other(dice: Dice, value: Any) -> Any:
    """A parameter's value, altered or of another type."""
    which = dice.whole(0, 9)
    if which == 0:
        return _one_of(dice, TEXTS)
    if which == 1:
        return tuple(_one_of(dice, NUMBERS) for _ in range(dice.whole(0, 4)))
    if isinstance(value, tuple) and value:
        at = dice.whole(0, len(value) - 1)
        return (*value[:at], _one_of(dice, NUMBERS), *value[at + 1 :])
    return _one_of(dice, TEXTS if isinstance(value, str) else NUMBERS)


def altered(dice: Dice, model: FixedModel) -> FixedModel:
    """One thing of the model is another one."""
    operator, which = model.operators[0], dice.whole(0, 3)
    if which == 0 and operator.parameters:
        name = _one_of(dice, operator.parameters)
        parameters = {**operator.parameters, name: _other(dice, operator.parameters[name])}
        return replace(model, operators=(replace(operator, parameters=parameters),))
    if which == 1 and model.constants:
        name = _one_of(dice, model.constants)
        values = model.constants[name].copy()
        kind = dice.whole(0, 3)
        if kind == 0:
            with np.errstate(invalid="ignore"):
                values = values.astype(_one_of(dice, ("uint8", "int32", "int64", "float32")))
        elif kind == 1:
            values = values.reshape(-1)[: dice.whole(0, values.size)]
        elif values.size:
            info: Any = np.finfo(values.dtype) if values.dtype.kind == "f" else np.iinfo(values.dtype)
            values.reshape(-1)[dice.whole(0, values.size - 1)] = _one_of(dice, (info.min, info.max, 0, 1))
        return replace(model, constants={**model.constants, name: values})
    name = _one_of(dice, model.tensors)
    tensor = model.tensors[name]
    if which == 2:
        shape = tuple(_one_of(dice, (0, 1, 2, 3, 5, 8)) for _ in range(dice.whole(0, 5)))
        return replace(model, tensors={**model.tensors, name: replace(tensor, shape=shape)})
    changes = float_tensor(name, tensor.shape), byte_tensor(name, tensor.shape), replace(tensor, zero_point=1)
    change = _one_of(dice, changes)
    return replace(model, tensors={**model.tensors, name: change})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", sorted(BUILDERS))
@examples(60)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_is_refused_or_it_runs(kind: str, seed: int) -> None:
    dice = Dice(seed)
    model = altered(dice, BUILDERS[kind](dice))
    try:
        session = KpuSession(model)
    except ModelbuildError as error:
        assert error.exit_code == 2
        return
    found = session.run(made.inputs(dice, model))["y"]
    assert (found.shape, found.dtype) == (model.tensors["y"].shape, model.tensors["y"].dtype)
    assert fixed_onnx.from_bytes(fixed_onnx.to_bytes(model)).operators == model.operators
