"""The radix of an input, from arrays that could be fed to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild import quantize

PIXELS = np.arange(256, dtype=np.float32)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [  # the first three are the chip's own normalisations (kneron_plus)
        (PIXELS / 256 - 0.5, 8),
        (PIXELS / 128 - 1, 7),
        (PIXELS / 256, 7),
        (PIXELS / 255, 6),
        (PIXELS - 128, 0),
        ((PIXELS - 127) / 128 * 3, 5),
    ],
)
def test_known_inputs(values: np.ndarray, wanted: int) -> None:
    assert quantize.radix([values]) == wanted


def test_all_arrays_count() -> None:
    assert quantize.radix([np.full((2, 2), 0.1), np.array([-0.9])]) == 7
    assert quantize.radix([PIXELS * 8], bits=16) == 4


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ([PIXELS], "values from 0 to 255 are out of range: 8 bits hold -128 to 127"),
        ([np.array([-129.0, 3.0])], "values from -129 to 3 are out of range"),
        ([np.array([1.0]), np.array([np.nan])], "array 2 holds NaN or infinity"),
        ([np.zeros(3)], "all 0"),
        ([], "there are none"),
    ],
)
def test_what_has_no_radix_is_a_value_error_with_the_range(arrays: list[np.ndarray], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        quantize.radix(arrays)


@given(
    st.lists(st.floats(-128, 127, allow_nan=False).filter(lambda x: abs(x) > 1e-30), min_size=1, max_size=5)
)
def test_values_fit_and_one_more_bit_would_not(values: list[float]) -> None:
    found = quantize.radix([np.array(values)])
    scaled = np.array(values) * 2.0**found
    assert scaled.min() >= -128.5 and scaled.max() <= 127.5
    assert scaled.min() * 2 < -128.5 or scaled.max() * 2 > 127.5
