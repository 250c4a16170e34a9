"""Accumulators to integers against Python's own, where float64 is proven exact and where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.binding import bind
from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.arithmetic.requantize import Requantizer, one_scaling
from tests.arithmetic.dice import one
from tests.arithmetic.oracle_grids import rescale, saturate
from tests.hypotheses import examples


def requantizer(
    bits: int, signed: bool, zero: int, factors: tuple[int, int, int], largest: int
) -> tuple[Requantizer, QuantizedTensor]:
    y = QuantizedTensor("y", (1,), bits, signed, 1.0, 0)
    p = {"output_zero": zero, "low": y.low, "high": y.high}
    model = one("any", [y, y], p)
    bound = bind(model, model.operators[0])
    return Requantizer(bound, one_scaling(*factors, largest)), y


def answers(found: Requantizer, y: QuantizedTensor, accumulators: list[int]) -> list[int]:
    out = np.empty((1, 1, len(accumulators)), y.dtype)
    found(np.array(accumulators, np.float64).reshape(1, 1, -1), out)
    return [int(value) for value in out.ravel()]


def expected(
    y: QuantizedTensor, zero: int, factors: tuple[int, int, int], accumulators: list[int]
) -> list[int]:
    multiplier, shift, bias = factors
    return [saturate(rescale(v + bias, multiplier, shift) + zero, y.low, y.high) for v in accumulators]


def near_borders(y: QuantizedTensor, factors: tuple[int, int, int], zero: int, largest: int) -> list[int]:
    """Accumulators at which the answer is about to change, the borders of saturation among them."""
    multiplier, shift, bias = factors
    found = [-largest, largest, 0]
    for answer in (y.low - 1, y.low, y.low + 1, -1, 0, 1, zero, y.high - 1, y.high, y.high + 1):
        if multiplier:
            at = ((answer - zero) * 2**shift - 2**shift // 2) // multiplier - bias
            found += [at - 1, at, at + 1]
    return [v for v in found if abs(v) <= largest]


@examples(300)
@given(
    bits=st.sampled_from([8, 16]),
    signed=st.booleans(),
    multiplier=st.integers(1 - 2**31, 2**31 - 1),
    shift=st.integers(0, 62),
    bias=st.integers(1 - 2**30, 2**30 - 1),
    reach=st.integers(1, 30),
    position=st.floats(0, 1),
    more=st.lists(st.integers(-(2**30), 2**30), max_size=5),
)
def test_equals_whole_numbers(
    bits: int,
    signed: bool,
    multiplier: int,
    shift: int,
    bias: int,
    reach: int,
    position: float,
    more: list[int],
) -> None:
    if bits == 16:
        multiplier >>= 16
    factors, largest = (multiplier, shift, bias), 2**reach
    low = -(1 << (bits - 1)) if signed else 0
    zero = low + round(position * ((1 << bits) - 1))
    found, y = requantizer(bits, signed, zero, factors, largest)
    accumulators = near_borders(y, factors, zero, largest) + [v for v in more if abs(v) <= largest]
    assert answers(found, y, accumulators) == expected(y, zero, factors, accumulators)
    if not found.unproven.any():  # the wide path, on which nothing has to be proven, says the same
        found.unproven[:] = True
        assert answers(found, y, accumulators) == expected(y, zero, factors, accumulators)


@pytest.mark.parametrize(
    ("shift", "bias", "largest", "proven"),
    [
        (44, 0, 2**30, True),  # (0.5 + 256)·2^44 below 2^53
        (45, 0, 2**30, False),
        (44, 2**30, 2**30, False),  # the bias alone is beyond
        (45, 0, 2**21, True),  # every product below 2^53
        (62, 0, 1, False),
    ],
)
def test_what_is_proven(shift: int, bias: int, largest: int, proven: bool) -> None:
    factors = (2**31 - 1, shift, bias)
    found, y = requantizer(8, True, -128, factors, largest)
    assert found.unproven.tolist() == [not proven]
    accumulators = near_borders(y, factors, -128, largest)
    assert answers(found, y, accumulators) == expected(y, -128, factors, accumulators)


def test_a_product_that_float64_would_round_up_to_a_half() -> None:
    """v·M = 2^49·241 − 1 is one below a half, and 53 bits make it the half itself."""
    v, factors = 974_680_031, (139_195_361, 50, 0)
    assert v * factors[0] == 2**49 * 241 - 1
    found, y = requantizer(8, True, 0, factors, 2**30)
    assert answers(found, y, [v, v + 1]) == [120, 121]
    found.unproven[:] = False
    assert answers(found, y, [v, v + 1]) == [121, 121]
