"""The range methods on known distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.histogram import Histogram, count
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.ranges import METHODS, minmax, mse, percentile

ASYMMETRIC = TensorFormat(8, True, False, "free")
SYMMETRIC = TensorFormat(8, True, True, "free")
POWER = TensorFormat(8, True, True, "power_of_two")
ALL = [
    ASYMMETRIC,
    SYMMETRIC,
    POWER,
    TensorFormat(8, True, True, "radix"),
    TensorFormat(16, True, True, "free"),
]


def histogram(values: np.ndarray[Any, Any]) -> Histogram:
    low, high = float(values.min()), float(values.max())
    return Histogram(low, high, *count(values.astype(np.float32), low, high))


def real_error(values: np.ndarray[Any, Any], form: TensorFormat, ends: tuple[float, float]) -> float:
    scale, zero = form.grid(*ends)
    steps = np.clip(np.rint(values / scale) + zero, form.low, form.high)
    return float(np.square((steps - zero) * scale - values).mean())


RNG = np.random.default_rng(5)
NORMAL = RNG.standard_normal(40000)
TAILED = np.append(NORMAL, [60.0, -45.0])
HALF = np.maximum(RNG.laplace(size=40000), 0)


def test_histogram_counts_zeros_apart() -> None:
    made = histogram(HALF)
    assert made.zeros == int((HALF.astype(np.float32) == 0).sum()) > 15000
    assert int(made.counts.sum()) + made.zeros == len(HALF)
    values, weights = made.values()
    assert values[-1] == 0.0 and weights[-1] == made.zeros


def test_minmax() -> None:
    assert minmax.choose(histogram(TAILED), SYMMETRIC, {}) == (-45.0, 60.0)


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("values", [NORMAL, TAILED, HALF, np.full(9, 2.5), np.zeros(9), -HALF])
def test_mse_is_never_worse_than_any_range_on_a_grid(form: TensorFormat, values: Any) -> None:
    ends = mse.choose(histogram(values), form, {})
    found = real_error(values, form, ends)
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    rivals = [
        real_error(values, form, (low * left, high * right))
        for left in np.linspace(0.02, 1, 25)
        for right in np.linspace(0.02, 1, 25)
    ]
    assert found <= min(rivals) * 1.03 + 1e-12


def test_mse_cuts_a_tail_that_minmax_keeps() -> None:
    ends = mse.choose(histogram(TAILED), SYMMETRIC, {})
    assert ends[1] < 55
    assert real_error(TAILED, SYMMETRIC, ends) < 0.95 * real_error(TAILED, SYMMETRIC, (-45, 60))


def test_percentile() -> None:
    made = histogram(TAILED)
    low, high = percentile.choose(made, SYMMETRIC, {"percentile": 99.0})
    assert high == pytest.approx(np.quantile(np.abs(TAILED), 0.99), abs=0.05) and low == -high
    low, high = percentile.choose(made, ASYMMETRIC, {"percentile": 98.0})
    assert low == pytest.approx(np.quantile(TAILED, 0.01), abs=0.05)
    assert high == pytest.approx(np.quantile(TAILED, 0.99), abs=0.05)
    assert percentile.choose(made, SYMMETRIC, {"percentile": 100}) == (-45.0, 60.0)


@pytest.mark.parametrize("share", [0, 50, 101, "99", True])
def test_percentile_refuses_nonsense(share: object) -> None:
    with pytest.raises(ModelbuildError, match="percentile"):
        percentile.choose(histogram(NORMAL), SYMMETRIC, {"percentile": share})


@pytest.mark.parametrize("method", sorted(METHODS))
def test_constant_tensors_have_a_range(method: str) -> None:
    for value in (0.0, 3.0, -1.0):
        low, high = METHODS[method](histogram(np.full(5, value)), ASYMMETRIC, {})
        scale, _ = ASYMMETRIC.grid(low, high)
        assert scale > 0 and abs((round(value / scale)) * scale - value) < 0.02
