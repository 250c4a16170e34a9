"""Elementary functions made of single operations, held against the library's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from modelbuild.kpu.lowering import elementary

X = np.concatenate([np.linspace(-30, 30, 6001), [0.0, -0.0, 1e-12, -1e-12, 3.0, -3.0]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exp", np.exp),
        ("tanh", np.tanh),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("softplus", lambda x: np.logaddexp(0, x)),
        ("erf", np.vectorize(math.erf)),
        ("atan", np.arctan),
        ("asinh", np.arcsinh),
    ],
)
def test_functions(name: str, expected: object) -> None:
    assert callable(expected)
    np.testing.assert_allclose(getattr(elementary, name)(X), expected(X), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "expected", "x"),
    [
        ("asin", np.arcsin, np.linspace(-1, 1, 2001)),
        ("acos", np.arccos, np.linspace(-1, 1, 2001)),
        ("atanh", np.arctanh, np.linspace(-1, 1, 2001)[1:-1]),
        ("acosh", np.arccosh, np.geomspace(1, 1e6, 2001)),
    ],
)
def test_functions_of_a_part_of_the_numbers(name: str, expected: object, x: np.ndarray[Any, Any]) -> None:
    """What lies beyond is taken as the end."""
    assert callable(expected)
    function = getattr(elementary, name)
    np.testing.assert_allclose(function(x), expected(x), rtol=1e-13, atol=1e-14)
    assert np.isfinite(function(np.array([-1e9, -1.0, 1.0, 1e9]))).all()


def test_logarithms_and_powers() -> None:
    x = np.geomspace(1e-30, 1e30, 2001)
    np.testing.assert_allclose(elementary.log(x), np.log(x), rtol=1e-13, atol=1e-14)
    assert elementary.log(np.array([0.0, -1.0])).max() < -700
    near = np.linspace(0.01, 20, 500)
    for exponent in (2.0, 3.0, -1.0, 0.5, 1.7, 12.0):
        np.testing.assert_allclose(elementary.power(near, exponent), near**exponent, rtol=1e-11)
    assert elementary.power(np.array([-2.0]), 3.0).tolist() == [-8.0]
    assert elementary.power(np.array([-2.0]), 11.0) == pytest.approx(-2048.0)
    assert elementary.power(np.array([-2.0]), 0.3).tolist() == [0.0]
    assert np.isfinite(elementary.exp(np.array([-1e9, 1e9]))).all()
