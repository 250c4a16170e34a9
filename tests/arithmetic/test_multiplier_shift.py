"""The kernels against the scalar oracle, on every operator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, QuantizedTensor
from modelbuild.arithmetic.multiplier_shift import KERNELS, FixedSession, run
from modelbuild.arithmetic.operators import OPERATORS
from modelbuild.errors import ModelbuildError
from tests.arithmetic import oracle
from tests.arithmetic.dice import Dice, one
from tests.arithmetic.random_models import BUILDERS
from tests.hypotheses import examples


def test_every_operator_has_a_kernel_an_oracle_and_a_builder() -> None:
    assert set(KERNELS) == set(OPERATORS) == set(oracle.ORACLES) == set(BUILDERS)


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@examples(40)
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([8, 16]))
def test_kernel_equals_oracle(kind: str, seed: int, bits: int) -> None:
    dice = Dice(seed, bits)
    model = BUILDERS[kind](dice)
    inputs = dice.inputs(model)
    expected = oracle.run(model, inputs)
    found = run(model, inputs, keep="all")
    assert set(found) == set(expected)
    for name in expected:
        assert found[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("depth", [64, 600, 1500, 4000, 30000])
def test_deep_sums_are_exact_in_every_path(depth: int) -> None:
    """One float32 product, several chunks, float64: the extremes of all three."""
    x = QuantizedTensor("x", (1, depth), 8, False, 1.0, 0)
    y = QuantizedTensor("y", (1, 2), 16, True, 1.0, 0)
    weight = np.full((2, depth), 127, np.int8)
    weight[1, ::2] = -127
    constants = {
        "weight": weight,
        "bias": np.array([3, -5], np.int32),
        "multiplier": np.array([1, 1], np.int32),
        "shift": np.array([0 if depth < 100 else 16, 0], np.int32),
    }
    p = {"input_zero": 0, "output_zero": 0, "low": y.low, "high": y.high}
    model = one("gemm", [x, y], p, constants)
    values = np.full((1, depth), 255, np.uint8)
    values[0, -1] = 254
    acc = values.astype(object) @ weight.T.astype(object)
    shift = int(constants["shift"][0])
    first = min((acc[0, 0] + 3 + ((1 << shift) >> 1)) >> shift, 32767)
    assert run(model, {"x": values})["y"].tolist() == [[first, acc[0, 1] - 5]]


def test_only_outputs_are_kept_and_inputs_stay_untouched() -> None:
    tensors = [QuantizedTensor(name, (2, 3), 8, True, 1.0, 0) for name in ("x", "m", "y")]
    step = {"multiplier": 1, "shift": 0, "input_zero": 0, "output_zero": 0, "low": -128, "high": 127}
    operators = (
        FixedOperator("rescale", "first", ("x",), ("m",), step | {"multiplier": 2}),
        FixedOperator("rescale", "second", ("m",), ("y",), step | {"multiplier": -1}),
    )
    model = FixedModel(
        "chain", "multiplier_shift@1", "test", ("x",), ("y",), {t.name: t for t in tensors}, {}, operators
    )
    values = np.arange(-3, 3, dtype=np.int8).reshape(2, 3)
    session, before = FixedSession(model), np.getbufsize()
    assert session.run({"x": values}) == {"y": pytest.approx(-2 * values)}
    assert set(session.run({"x": values}, keep="all")) == {"x", "m", "y"}
    assert values.ravel().tolist() == [-3, -2, -1, 0, 1, 2]
    assert np.getbufsize() == before


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.zeros((2, 2), np.int8), "shape"),
        (np.zeros((2, 3), np.float32), "integers"),
        (np.full((2, 3), 128, np.int16), "-128 to 127"),
    ],
)
def test_wrong_inputs_are_refused(values: np.ndarray, text: str) -> None:
    tensors = [QuantizedTensor(name, (2, 3), 8, True, 1.0, 0) for name in ("x", "y")]
    p = {"multiplier": 1, "shift": 0, "input_zero": 0, "output_zero": 0, "low": -128, "high": 127}
    model = one("rescale", tensors, p)
    with pytest.raises(ModelbuildError, match=text):
        run(model, {"x": values})
    with pytest.raises(ModelbuildError, match="missing"):
        run(model, {})
