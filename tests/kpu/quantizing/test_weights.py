"""Bytes of weights: the sums with the KPU's corrections are those of the signed weights, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.kpu.quantizing import sum_bounds, unsigned_weights
from tests.kpu.quantizing.oracle import total


@given(
    zero=st.integers(0, 255),
    channels=st.integers(1, 5),
    kernel=st.sampled_from([1, 3]),
    depthwise=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_sums_are_exact(zero: int, channels: int, kernel: int, depthwise: bool, seed: int) -> None:
    """For all 256 codes, weights of zero and bytes of the border, too."""
    rng = np.random.default_rng(seed)
    inner = 1 if depthwise else channels
    weight = rng.integers(-128, 128, (channels, inner, kernel, kernel)).astype(np.int8)
    weight[:, :, :, 0] *= rng.integers(0, 2, dtype=np.int8)
    made = unsigned_weights(weight, zero)
    assert made.weight.dtype == np.uint8
    assert made.pad_value == zero
    low, high = sum_bounds(weight, zero)
    for channel in range(channels):
        own = weight[channel].reshape(-1).tolist()
        codes = made.weight[channel].reshape(-1).tolist()
        for x in (
            [0] * len(own),
            [255] * len(own),
            [zero] * len(own),
            rng.integers(0, 256, len(own)).tolist(),
        ):
            exact = sum((a - zero) * b for a, b in zip(x, own, strict=True))
            assert total(x, codes, made.parameters(), inner) == exact
            assert low[channel] <= exact <= high[channel]


def test_bounds_are_reached() -> None:
    weight = np.array([3, -2, 0], np.int8).reshape(1, 3, 1, 1)
    low, high = sum_bounds(weight, 10)
    assert (low.tolist(), high.tolist()) == ([3 * -10 - 2 * 245], [3 * 245 + 2 * 10])


def test_numbers_by_hand() -> None:
    made = unsigned_weights(np.full((2, 4, 3, 3), -127, np.int8), 7)
    assert made.weight.min() == made.weight.max() == 1
    assert made.parameters() == {
        "arg_x": -128,
        "shift_x": 0,
        "arg_w": -7,
        "shift_w": 0,
        "arg_add": 9 * 128 * 7,
        "pad_value": 7,
    }


def test_what_is_no_byte_is_refused() -> None:
    with pytest.raises(ModelbuildError, match="weights of -129 to 0 are no bytes"):
        unsigned_weights(np.array([-129, 0]).reshape(2, 1, 1, 1), 0)
    with pytest.raises(ModelbuildError, match="zero point 256"):
        unsigned_weights(np.zeros((1, 1, 1, 1), np.int8), 256)
