"""Means that lose nothing in the mean, and tables of which the largest byte is that of the largest value."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.arithmetic.kpu.pools import pooled
from modelbuild.kpu.quantizing import fit_segments
from modelbuild.kpu.quantizing.pools import lost_by
from tests.kpu.quantizing.oracle import FUNCTIONS, STRAIGHT, output


def mean_error(name: str, function, pool: str, offset: float) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Mean and mean square of what a pooled map of smooth noise is off, in steps."""
    y = output(-0.3, 4.0)
    v_scale = y.scale / 2**20
    table = fit_segments(function, int(-9 / v_scale), int(9 / v_scale), v_scale, y, offset=offset)
    rng = np.random.default_rng(3)
    x = rng.normal(0.3, 1.0, (16, 16, 1, 16, 1)) + rng.normal(0.0, 0.6, (16, 16, 4, 16, 4))
    x = x.reshape(1, 16, 64, 64).clip(-8, 8)
    codes = table.codes(np.rint(x / v_scale).astype(np.int64))
    size = 4 if "4" in pool else 2
    exact = function(x).clip(-0.3, 4.0) / y.scale
    exact = exact.reshape(1, 16, 64 // size, size, 64 // size, size).mean(axis=(3, 5))
    error = pooled(codes, pool).astype(float) - y.zero_point - exact
    return float(error.mean()), float(np.square(error).mean())


@pytest.mark.parametrize("pool", ["mean_2_s2", "mean_4_s4"])
@pytest.mark.parametrize("name", ["silu", "identity", "relu"])
def test_means_lose_less(pool: str, name: str) -> None:
    function = {**FUNCTIONS, **STRAIGHT}[name]
    plain = mean_error(name, function, pool, 0.0)
    moved = mean_error(name, function, pool, lost_by(pool))
    assert plain[0] < -0.25
    assert abs(moved[0]) < 0.2
    assert moved[1] < 0.65 * plain[1]


def test_only_means_lose() -> None:
    assert lost_by("max_2_s2") == lost_by("bypass") == lost_by("left_top_2_s2") == 0.0
    assert lost_by("mean_2_s1") == lost_by("mean_2_s2") == 0.375
    assert lost_by("mean_4_s4") == 0.46875
