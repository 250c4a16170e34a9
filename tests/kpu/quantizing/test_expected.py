"""Where values are expected: near where random inputs put them, and tables are better there."""

from __future__ import annotations

import numpy as np

from modelbuild.kpu.quantizing import Expected, batch_norm, expected, fit_segments, sum_bounds
from tests.kpu.quantizing.oracle import FUNCTIONS, output, wanted


def test_shares_of_one_channel() -> None:
    found = Expected(np.array([2.0]), np.array([3.0]))
    shares = found.below(np.array([-1e9, -1.0, 2.0, 6.0, 1e9]))
    assert np.allclose(shares, [0, 0.5 - 0.5**1.5, 0.5, 0.9, 1])


def test_channels_count_the_same() -> None:
    found = Expected(np.array([-100.0, 100.0]), np.array([1.0, 1.0]))
    assert abs(found.below(np.zeros(1))[0] - 0.5) < 1e-9
    assert abs(found.below(np.array([50.0]))[0] - 0.5) < 1e-3


def test_middles_and_widths_by_hand() -> None:
    weight = np.array([[3, -4], [0, 0]], np.int8)
    found = expected(weight, np.array([0.5, 0.5]), np.array([1.0, -2.0]), 0)
    assert np.allclose(found.middle, [1 + -1 * 12 * 0.5, -2])
    assert np.allclose(found.width, [5 * 20 * 0.5, 50e-3])
    centred = expected(weight, np.array([0.5, 0.5]), np.array([1.0, -2.0]), 255)
    assert np.allclose(centred.middle, [1 + 1 * 12 * 0.5, -2])


def test_tables_are_better_where_values_are() -> None:
    """A SiLU behind random weights, whose sums may reach fifty times as far as they do."""
    rng = np.random.default_rng(5)
    weight = np.rint(rng.normal(0, 30, (16, 256))).astype(np.int64)
    x = np.clip(np.rint(rng.normal(30, 20, (2000, 256))), 0, 255)
    factors, bias = np.full(16, 1.1e-4), rng.normal(-0.6, 0.3, 16)
    real = (x - 20) @ weight.T * factors + bias
    function = FUNCTIONS["silu"]
    y = output(-0.28, 2.5)
    norm = batch_norm(sum_bounds(weight, 20), factors, bias, y.scale)
    errors = []
    for seen in (None, expected(weight, factors, bias, 20)):
        table = fit_segments(function, norm.low, norm.high, norm.v_scale, y, seen)
        values = np.rint(real.ravel() / norm.v_scale).astype(np.int64)
        exact = wanted(function, values, norm.v_scale, y)
        errors.append(np.mean(np.square(table.codes(values) - exact)))
    assert errors[1] < 0.8 * errors[0]
