"""The kernels of `kpu@1` against the scalar oracle, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.kpu import run
from modelbuild.arithmetic.kpu.kinds import KINDS
from modelbuild.arithmetic.kpu.session import KERNELS
from tests.arithmetic.dice import Dice
from tests.arithmetic.kpu import cases, made, oracle
from tests.hypotheses import examples


def test_every_kind_has_a_kernel_and_a_builder() -> None:
    assert set(KERNELS) == set(KINDS) == set(cases.BUILDERS)


@pytest.mark.parametrize("kind", sorted(cases.BUILDERS))
@examples(60)
@given(seed=st.integers(0, 2**32 - 1))
def test_kernel_equals_oracle(kind: str, seed: int) -> None:
    dice = Dice(seed)
    model = cases.BUILDERS[kind](dice)
    inputs = made.inputs(dice, model)
    expected, found = oracle.run(model, inputs), run(model, inputs, keep="all")
    assert set(found) == set(expected)
    for name in model.outputs:
        assert found[name].dtype == model.tensors[name].dtype
        np.testing.assert_array_equal(found[name], expected[name])
