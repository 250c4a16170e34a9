"""The fixed-point functions against exact fractions and the functions that they stand for."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.tflite import fixed_point as fp

INT32 = st.integers(-(2**31) + 1, 2**31 - 1)


def half_away(value: Fraction) -> int:
    whole = math.floor(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole


@given(INT32, INT32)
def test_the_doubled_high_half_is_rounded_to_nearest(a: int, b: int) -> None:
    exact = Fraction(a * b, 2**31)
    found = int(fp.doubled_high(a, b))
    assert abs(found - exact) <= Fraction(1, 2)
    if a * b >= 0:
        assert found == min(half_away(exact), 2**31 - 1)


@given(INT32, st.integers(0, 31))
def test_powers_of_two_divide_halves_away_from_zero(x: int, exponent: int) -> None:
    assert int(fp.divide_by_power(x, exponent)) == half_away(Fraction(x, 2**exponent))


@given(st.floats(2**-30, 2**7))
def test_multipliers_stand_for_their_factor(factor: float) -> None:
    multiplier, shift = fp.quantize_multiplier(factor)
    assert 2**30 <= multiplier < 2**31
    assert abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) / Fraction(factor) - 1) <= Fraction(
        1, 2**31
    )


def test_multipliers_at_the_ends() -> None:
    assert fp.quantize_multiplier(0.0) == (0, 0)
    assert fp.quantize_multiplier(0.5) == (2**30, 0)
    assert fp.quantize_multiplier(1.0) == (2**30, 1)
    assert fp.quantize_multiplier(1 - 2**-40) == (2**30, 1)
    assert fp.quantize_multiplier(2.0**-40) == (0, 0)
    assert fp.quantize_multiplier(-0.75) == (-3 * 2**29, 0)


@given(st.integers(-(2**20), 2**20), st.floats(2**-12, 2**3))
def test_multiplying_once_or_twice_rounded_is_near_the_product(x: int, factor: float) -> None:
    multiplier, shift = fp.quantize_multiplier(factor)
    exact = Fraction(x * multiplier) * Fraction(2) ** (shift - 31)
    assert abs(int(fp.multiply(x, multiplier, shift)) - exact) <= 1
    assert int(fp.multiply_once(x, multiplier, shift)) == math.floor(exact + Fraction(1, 2))


@pytest.mark.parametrize("bits", [4, 5])
def test_curves_follow_their_functions(bits: int) -> None:
    reals = np.linspace(-15.9, 15.9, 4001)
    raw = np.round(reals * 2.0 ** (31 - bits)).astype(np.int64)
    found = fp.exp_of_negative(np.minimum(raw, 0), bits) / 2**31
    assert np.abs(found - np.exp(np.minimum(reals, 0))).max() < 1e-6
    assert np.abs(fp.logistic(raw, bits) / 2**31 - 1 / (1 + np.exp(-reals))).max() < 1e-6
    assert np.abs(fp.tanh(raw, bits) / 2**31 - np.tanh(reals)).max() < 1e-6
    assert fp.tanh(np.zeros(1, np.int64), bits)[0] == 0


@given(st.integers(1, 2**31 - 1))
def test_reciprocals(x: int) -> None:
    scaled, bits = fp.reciprocal(np.array([x]), 12)
    real = Fraction(int(scaled[0]), 2**31) / Fraction(2) ** int(bits[0])
    assert abs(real * Fraction(x, 2**19) - 1) < Fraction(1, 10**7)


@given(st.integers(-(2**24), 2**24), st.integers(1, 5000))
def test_means_divide_halves_away_from_zero(total: int, count: int) -> None:
    found = int(fp.divide(np.array(total), count))
    assert found == (half_away(Fraction(total, count)) if count % 2 == 0 else found)
    assert abs(found - Fraction(total, count)) <= Fraction(1, 2)
