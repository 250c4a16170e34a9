"""What docs/arithmetic.md does not allow is refused with the operator's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.validation import validate
from modelbuild.errors import ModelbuildError
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS

Change = Callable[[FixedModel], FixedModel]


def parameters(**changed: Any) -> Change:
    def change(model: FixedModel) -> FixedModel:
        operator = model.operators[0]
        return replace(model, operators=(replace(operator, parameters={**operator.parameters, **changed}),))

    return change


def constants(role: str, values: Any) -> Change:
    return lambda model: replace(model, constants={**model.constants, f"c/{role}": np.asarray(values)})


def output(**changed: Any) -> Change:
    return lambda m: replace(m, tensors={**m.tensors, "y": replace(m.tensors["y"], **changed)})


def operator(**changed: Any) -> Change:
    return lambda model: replace(model, operators=(replace(model.operators[0], **changed),))


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_models_are_valid(kind: str, seed: int) -> None:
    validate(BUILDERS[kind](Dice(seed)))


@pytest.mark.parametrize(
    ("kind", "change", "text"),
    [
        ("conv", operator(kind="convolve"), "no such kind"),
        ("conv", operator(inputs=()), "wrong number of inputs"),
        ("conv", operator(inputs=("z",)), "'z' is not made before"),
        ("conv", operator(unit="gpu"), "neither npu nor cpu"),
        ("conv", operator(constants={}), "constants must be"),
        ("conv", operator(parameters={}), "parameters must be"),
        ("conv", parameters(strides=(1,)), "strides must hold 2"),
        ("conv", parameters(pads=(0, 0, -1, 0)), "pads must be 0 or more"),
        ("conv", parameters(group=7), "groups"),
        ("conv", parameters(low=1, high=0), "low 1 and high 0"),
        ("conv", parameters(input_zero=999), "input_zero does not fit"),
        ("conv", parameters(output_zero="3"), "output_zero must be an integer"),
        ("conv", parameters(strides=(1, True)), "strides must be a list of integers"),
        ("conv", constants("bias", np.zeros(99, np.int32)), "bias must have"),
        ("conv", constants("shift", np.zeros((1, 1), np.int32)), "shift must have 1 axes"),
        ("conv", constants("multiplier", np.zeros(6, np.float32)), "must hold integers"),
        ("conv", output(shape=(1, 1, 1, 99)), "the tensor is"),
        ("conv", output(scale=0.0), "not above 0"),
        ("conv", output(bits=4), "only 8 and 16"),
        ("conv", output(zero_point=500), "zero point 500"),
        ("conv", output(name="w"), "it is called 'w'"),
        ("rescale", parameters(shift=63), "shift 63 is outside"),
        ("rescale", parameters(multiplier=2**31), "does not stay below"),
        ("table", constants("table", np.zeros(255, np.int8)), "256 entries"),
        ("table", parameters(input_low=5), "smallest integer"),
        ("softmax", constants("table", np.zeros(256, np.int32)), "exponential of 0"),
        ("softmax", constants("table", np.zeros(512, np.int32)), "8 bits has 256 entries"),
        ("curve", parameters(segment_bits=15), "segment_bits must be 4...14"),
        ("curve", parameters(start=1), "smallest integer"),
        ("curve", constants("bend", np.zeros(9999, np.int32)), "bend must have"),
        ("gather", constants("indices", np.array([99], np.int32)), "index is out of range"),
        ("transpose", parameters(perm=(0, 0)), "perm"),
        ("reshape", parameters(shape=(99,)), "number of cells"),
        ("reshape", output(scale=0.5), "must share"),
        ("slice", parameters(steps=(0,)), "steps"),
        ("average_pool", constants("count", np.array([99], np.int32)), "multiplier must have 1"),
        ("resize_linear", constants("row_weights", np.zeros((1, 2), np.int32)), "row"),
        ("max_pool", parameters(pads=(9, 9, 9, 9)), "."),
        ("conv", parameters(pads=(1 << 20,) * 4), "padded picture is too large"),
        ("concat", parameters(shifts=()), "shifts must have"),
        ("reduce_sum", parameters(axes=()), "at least one axis"),
        ("matmul", output(shape=(1,)), "the tensor is"),
    ],
)
def test_what_is_wrong_is_named(kind: str, change: Change, text: str) -> None:
    model = change(BUILDERS[kind](Dice(3)))
    with pytest.raises(ModelbuildError, match=text) as caught:
        validate(model)
    assert caught.value.exit_code == 2
    assert caught.value.problems[0].where


def test_structure_is_checked() -> None:
    model = BUILDERS["rescale"](Dice(3))
    first = model.operators[0]
    wrong: list[tuple[FixedModel, str]] = [
        (replace(model, arithmetic="posit@1"), "no arithmetic 'posit@1'"),
        (replace(model, arithmetic="kpu@1"), "8 bits without a sign|no such kind"),
        (replace(model, outputs=()), "no output"),
        (replace(model, outputs=("z",)), "nothing makes the output 'z'"),
        (replace(model, inputs=("z",)), "'z' is not among the tensors"),
        (replace(model, operators=(first, first)), "made twice"),
        (replace(model, operators=(replace(first, outputs=("z",)),)), "'z' is not among the tensors"),
    ]
    for changed, text in wrong:
        with pytest.raises(ModelbuildError, match=text):
            validate(changed)


def test_accumulators_are_proven_not_to_overflow() -> None:
    model = BUILDERS["gemm"](Dice(3))
    outputs = model.constants["c/bias"].shape[0]
    near = constants("bias", np.full(outputs, 2**31 - 1, np.int64))(model)
    with pytest.raises(ModelbuildError, match=r"accumulator may reach \d+; the limit is 2147483648"):
        validate(near)
