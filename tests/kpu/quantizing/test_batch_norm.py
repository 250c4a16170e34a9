"""Batch normalization: as exact as its integers allow, and never out of 36 bits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.kpu.quantizing import batch_norm
from tests.hypotheses import examples


@examples(150)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 40_000_000),
            st.integers(0, 40_000_000),
            st.floats(1e-9, 1e-2),
            st.floats(-50, 50),
        ),
        min_size=1,
        max_size=5,
    ),
    scale=st.floats(1e-3, 10),
    falling=st.booleans(),
    share=st.floats(0, 1),
)
def test_values_are_the_real_ones(rows, scale, falling, share) -> None:  # type: ignore[no-untyped-def]
    low, high = (np.array([row[i] for row in rows], np.int64) for i in (0, 1))
    factors, bias = (np.array([row[i] for row in rows]) for i in (2, 3))
    made = batch_norm((-low, high), factors, bias, scale, falling)
    assert (made.v_scale < 0) == falling
    assert np.frexp(abs(made.v_scale) / scale)[0] == 0.5  # a power of two
    assert -(1 << 35) < made.low <= made.high < 1 << 35
    assert made.shift.max() <= 15
    assert np.abs(made.multiplier.astype(np.int64)).max() < 1 << 23
    for o in range(len(rows)):
        middle = int(-low[o] + share * (int(high[o]) + int(low[o])))
        for value in (int(-low[o]), 0, middle, int(high[o])):
            v = (value * int(made.multiplier[o]) >> int(made.shift[o])) + int(made.add[o])
            assert made.low <= v <= made.high
            exact = (value * Fraction(factors[o]) + Fraction(bias[o])) / Fraction(made.v_scale)
            # Half a step of the offset, one of the shift, and half a step of the factor for each of the sum.
            most = Fraction(3, 2) + abs(value) * Fraction(1, 2 << int(made.shift[o])) * Fraction(1001, 1000)
            assert abs(v - exact) <= most


def test_factors_use_their_bits() -> None:
    sums = np.full(1, 1 << 20, np.int64)
    made = batch_norm((-sums, sums), np.array([1 / 3000]), np.zeros(1), 0.05)
    assert made.v_scale == 0.05 / 2**20
    assert made.shift[0] == 10
    assert made.multiplier[0] == round(2**30 / 150)


def test_a_factor_that_is_rounded_up_to_the_next_power_of_two() -> None:
    sums = np.full(1, 1000, np.int64)
    made = batch_norm((-sums, sums), np.array([(2 - 2.0**-40) / 2**7]), np.zeros(1), 1.0)
    assert int(made.multiplier[0]) < 1 << 23
    assert abs(int(made.multiplier[0]) / 2.0 ** int(made.shift[0]) - 2.0**14) <= 2.0**-8


def test_steps_grow_where_sums_or_biases_are_large() -> None:
    sums = np.full(1, 1 << 27, np.int64)
    wide = batch_norm((-sums, sums), np.array([1e-2]), np.zeros(1), 0.01)
    assert wide.v_scale == 0.01 / 2**7
    biased = batch_norm((-sums, sums), np.array([1e-9]), np.array([2.0**12 * 0.01]), 0.01)
    assert biased.v_scale == 0.01 / 2**18
    assert biased.add[0] == 1 << 30


@pytest.mark.parametrize(
    ("factor", "bias", "what"),
    [(1e-3, 1e12, "bias"), (1e9, 0.0, "factor"), (1e6, 0.0, "largest value")],
)
def test_errors_name_the_channel_and_what_does_not_fit(factor: float, bias: float, what: str) -> None:
    sums = np.full(2, 1 << 27, np.int64)
    with pytest.raises(ModelbuildError, match="output channel 1 of a KPU layer") as caught:
        batch_norm((-sums, sums), np.array([1e-3, factor]), np.array([0.0, bias]), 0.001)
    assert f"its {what} is" in caught.value.problems[0].why


def test_numbers_that_are_none_are_refused() -> None:
    sums = np.full(1, 1000, np.int64)
    with pytest.raises(ModelbuildError, match="no finite number"):
        batch_norm((-sums, sums), np.array([1.0]), np.array([np.inf]), 1.0)
