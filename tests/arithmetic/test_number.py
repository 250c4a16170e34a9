"""Multipliers with shifts, and real numbers to integers and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.arithmetic.number import (
    decompose,
    decompose_each,
    decompose_together,
    dequantize_array,
    quantize_array,
)
from modelbuild.errors import ModelbuildError


@pytest.mark.parametrize(
    ("factor", "bits", "expected"),
    [
        (1.0, 8, (1, 0)),
        (0.25, 8, (1, 2)),
        (8.0, 8, (8, 0)),
        (0.0, 8, (0, 0)),
        (0.75, 8, (3, 2)),
        (-0.5, 8, (-1, 1)),
        (1 / 3, 8, (round(2**32 / 3), 32)),
        (1 / 3, 16, (round(2**16 / 3), 16)),
        (2.0**-62, 8, (1, 62)),
        (2.0**-64, 8, (0, 0)),
        (1 - 2.0**-40, 8, (1, 0)),
    ],
)
def test_decompose(factor: float, bits: int, expected: tuple[int, int]) -> None:
    assert decompose(factor, bits) == expected


@given(factor=st.floats(1e-9, 1e4), bits=st.sampled_from([8, 16]))
def test_decompose_is_as_close_as_its_bits_allow(factor: float, bits: int) -> None:
    multiplier, shift = decompose(factor, bits)
    limit = 2**31 if bits == 8 else 2**15
    assert 0 <= multiplier < limit and 0 <= shift <= 62
    assert multiplier % 2 == 1 or shift == 0
    assert abs(multiplier / 2**shift - factor) <= factor * 2.0 / limit


@given(
    st.lists(st.floats(-(2.0**15 - 1), 2.0**15 - 1) | st.sampled_from([0.0, 1 - 2.0**-40, 2.0**-62])),
    st.sampled_from([8, 16]),
)
def test_many_factors_are_decomposed_as_each_by_itself(factors: list[float], bits: int) -> None:
    multipliers, shifts = decompose_each(np.array(factors, np.float64), bits)
    found = list(zip(multipliers.tolist(), shifts.tolist(), strict=True))
    assert found == [decompose(factor, bits) for factor in factors]


def test_factors_together_share_the_largest_shift_that_fits_all() -> None:
    assert decompose_together((1.0, 0.25), 8) == ((4, 1), 2)
    (first, second), shift = decompose_together((1.0, -1 / 3), 8)
    assert shift == 30 and first == 2**30 and second == -round(2**30 / 3)


@pytest.mark.parametrize("factor", [2.0**31, float("inf"), float("nan")])
def test_factors_that_do_not_fit_are_refused(factor: float) -> None:
    with pytest.raises(ModelbuildError, match="does not fit"):
        decompose(factor, 8)
    with pytest.raises(ModelbuildError, match="does not fit"):
        decompose_each(np.array([1.0, factor]), 8)


def test_quantize_rounds_half_to_even_and_saturates() -> None:
    tensor = QuantizedTensor("t", (6,), 8, True, 0.5, 10)
    real = np.array([0.25, 0.75, -0.25, 1000.0, -np.inf, 1.0], np.float32)
    integers = quantize_array(real, tensor)
    assert integers.dtype == np.int8
    assert integers.tolist() == [10, 12, 10, 127, -128, 12]
    assert dequantize_array(integers, tensor).tolist() == [0.0, 1.0, 0.0, 58.5, -69.0, 1.0]


def test_quantize_refuses_nan() -> None:
    with pytest.raises(ModelbuildError, match="'t' contain NaN"):
        quantize_array(np.array([np.nan]), QuantizedTensor("t", (1,), 8, True, 0.5, 0))
