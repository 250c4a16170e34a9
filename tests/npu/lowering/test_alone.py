"""Operators by themselves, in a workspace that forces them into small regions: the same integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.errors import ModelbuildError
from modelbuild.npu import emitted
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.lowering import LOOPS, TILES
from modelbuild.npu.simulator import simulate
from tests.hypotheses import examples
from tests.npu.small_models import Maker
from tests.npu.strategies import grown, random_inputs, recipe, seeds, single_operators


def on_cpu(model: FixedModel) -> FixedModel:
    return replace(model, operators=tuple(replace(operator, unit="cpu") for operator in model.operators))


def in_workspace(model: FixedModel, size: int) -> CompiledModel | None:
    """Compiled for the host, all of it, with so many bytes; None where not even the smallest step fits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emitted, "HOST_WORKSPACE", size)
        try:
            return compile_model(on_cpu(model), recipe(), {})
        except ModelbuildError as error:
            assert "the workspace of the CPU has" in str(error)
            return None


def assert_runs_alike(model: FixedModel, program: CompiledModel, seed: int) -> None:
    inputs = random_inputs(model, seed)
    found = simulate(program.command, program.weights, program.host, inputs).outputs
    expected = run(model, inputs)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("kind", sorted({*TILES, *LOOPS}))
@examples(25)
@given(data=st.data(), seed=seeds, size=st.sampled_from([128, 256, 512, 1200, 2400, 5000]))
def test_each_kind_in_small_regions(kind: str, data: st.DataObject, seed: int, size: int) -> None:
    model = data.draw(single_operators(kind))
    program = in_workspace(model, size)
    if program is not None:
        assert_runs_alike(model, program, seed)


@examples(40)
@given(seed=seeds, bits=st.sampled_from([8, 16]), size=st.sampled_from([600, 2000, 1 << 20]))
def test_whole_models(seed: int, bits: int, size: int) -> None:
    model = grown(seed, bits)
    program = in_workspace(model, size)
    if program is not None:
        assert_runs_alike(model, program, seed)


def test_a_region_is_as_large_as_fits() -> None:
    """8 of 16 output channels where not all do; then half the rows of one."""
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("y", "x", 16, 3, 1, 1)
    model = maker.model("y")
    tiles = []
    for size in (4 * 64 + 16 * 64 + 16 * 45, 4 * 64 + 8 * 64 + 8 * 45 + 16, 300):
        program = in_workspace(model, size)
        assert program is not None
        tiles.append(program.layers[0].tiles)
        assert_runs_alike(model, program, 0)
    assert tiles == [1, 2, 16 * 2]
