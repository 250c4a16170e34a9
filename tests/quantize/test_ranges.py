"""The range methods on known distributions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.ranges import (
    METHODS,
    applicable,
    entropy,
    headroom,
    minmax,
    mse,
    output_error,
    percentile,
    wide,
)
from tests.quantize.histograms import histogram_of

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


def observed(
    values: np.ndarray[Any, Any], gradients: np.ndarray[Any, Any] | None = None
) -> TensorObservation:
    """A tensor of one channel; `gradients` a value."""
    values = values.astype(np.float32)
    histogram = histogram_of(values, gradients)
    low, high = histogram.low, histogram.high
    exact = values.astype(np.float64)
    sums = np.array([exact.sum()]), np.array([exact.var()])
    return TensorObservation(histogram, len(values), np.array([low]), np.array([high]), *sums)


def real_error(values: np.ndarray[Any, Any], form: TensorFormat, ends: tuple[float, float]) -> float:
    scale, zero = form.grid(*ends)
    steps = np.clip(np.rint(values / scale) + zero, form.low, form.high)
    return float(np.square((steps - zero) * scale - values).mean())


RNG = np.random.default_rng(5)
NORMAL = RNG.standard_normal(40000)
TAILED = np.append(NORMAL, [60.0, -45.0])
HALF = np.maximum(RNG.laplace(size=40000), 0)


def test_histogram_counts_zeros_apart() -> None:
    made = observed(HALF).histogram
    assert made.zeros == int((HALF.astype(np.float32) == 0).sum()) > 15000
    assert int(made.counts.sum()) + made.zeros == len(HALF)
    values, weights = made.values()
    assert values[-1] == 0.0 and weights[-1] == made.zeros


def test_minmax() -> None:
    assert minmax.choose(observed(TAILED), SYMMETRIC, {}) == (-45.0, 60.0)


def of_samples(ends: np.ndarray[Any, Any]) -> TensorObservation:
    """Samples with these extremes [samples, 2]."""
    rows = ends.astype(np.float32).astype(np.float64)
    return replace(observed(ends.reshape(-1)), sample_ranges=rows, samples=len(rows))


def test_headroom_is_what_one_of_a_thousand_new_samples_passes() -> None:
    high = 5 + np.random.default_rng(7).exponential(1.0, (200, 64))
    found = [headroom.choose(of_samples(np.stack([np.zeros(64), row], 1)), ASYMMETRIC, {})[1] for row in high]
    assert np.median(found) == pytest.approx(5 + np.log(1000), abs=0.5)
    assert all(end >= row.max() - 1e-6 for end, row in zip(found, high, strict=True))


def test_headroom_leaves_closed_ends_and_few_samples_alone() -> None:
    full = np.stack([-np.arange(64) / 64, np.full(64, 6.0)], 1)  # a Clip at 6
    low, high = headroom.choose(of_samples(full), ASYMMETRIC, {})
    assert high == 6.0 and -1.5 <= low < -1.1
    assert headroom.choose(of_samples(full[:7]), ASYMMETRIC, {}) == (-6 / 64, 6.0)
    assert headroom.choose(observed(TAILED), ASYMMETRIC, {}) == (-45.0, 60.0)


def test_headroom_is_bounded_and_doubles_no_step() -> None:
    wild = np.stack([np.zeros(64), np.geomspace(1e-3, 10, 64)], 1)
    assert headroom.choose(of_samples(wild), SYMMETRIC, {})[1] == pytest.approx(15.0)
    assert headroom.choose(of_samples(wild), POWER, {})[1] == pytest.approx(15.0)  # still within 127 / 8
    assert headroom.choose(of_samples(1.5 * wild), POWER, {})[1] == pytest.approx(15.0)  # as seen


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("values", [NORMAL, TAILED, HALF, np.full(9, 2.5), np.zeros(9), -HALF])
def test_mse_is_never_worse_than_any_range_on_a_grid(form: TensorFormat, values: Any) -> None:
    ends = mse.choose(observed(values), form, {})
    found = real_error(values, form, ends)
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    rivals = [
        real_error(values, form, (low * left, high * right))
        for left in np.linspace(0.02, 1, 25)
        for right in np.linspace(0.02, 1, 25)
    ]
    assert found <= min(rivals) * 1.03 + 1e-12


def test_mse_cuts_a_tail_that_minmax_keeps() -> None:
    ends = mse.choose(observed(TAILED), SYMMETRIC, {})
    assert ends[1] < 55
    assert real_error(TAILED, SYMMETRIC, ends) < 0.95 * real_error(TAILED, SYMMETRIC, (-45, 60))


def test_output_error_cuts_what_the_outputs_do_not_see() -> None:
    gradients = np.where(np.abs(TAILED) > 2, 0.01, 1.0)
    made = observed(TAILED, gradients)
    ends = output_error.choose(made, ASYMMETRIC, {})
    assert -3.2 < ends[0] < -1.9 and 1.9 < ends[1] < 3.2

    def cost(low: float, high: float) -> float:
        scale, zero = ASYMMETRIC.grid(low, high)
        steps = np.clip(np.rint(TAILED / scale) + zero, -128, 127) - zero
        return float(np.square((steps * scale - TAILED) * gradients).sum())

    rivals = [cost(-low, high) for low in np.linspace(1, 6, 26) for high in np.linspace(1, 6, 26)]
    assert cost(*ends) <= min(rivals) * 1.03
    assert cost(*ends) < 0.5 * cost(*mse.choose(made, ASYMMETRIC, {}))


def test_output_error_needs_gradients() -> None:
    assert applicable("output_error", observed(NORMAL), SYMMETRIC) == "mse"
    assert applicable("output_error", observed(NORMAL, np.zeros(40000)), SYMMETRIC) == "mse"
    assert applicable("output_error", observed(NORMAL, np.ones(40000)), SYMMETRIC) == "output_error"
    assert applicable("entropy", observed(NORMAL), SYMMETRIC) == "entropy"


SIXTEEN = TensorFormat(16, True, True, "free")


def test_16_bits_have_twice_what_was_seen_where_no_more_is_known() -> None:
    assert applicable("output_error", observed(NORMAL), SIXTEEN) == "wide"
    assert applicable("mse", observed(NORMAL), SIXTEEN) == "mse"
    assert wide.choose(observed(TAILED), SIXTEEN, {}) == (-90.0, 120.0)
    assert wide.choose(observed(TAILED, np.ones(len(TAILED))), SIXTEEN, {}) == (-90.0, 120.0)
    rows = np.stack([-np.arange(64.0), np.full(64, 6.0)], 1)
    assert wide.choose(of_samples(rows), SIXTEEN, {}) == (-126.0, 12.0)
    unused = replace(of_samples(rows), histogram=weighed(of_samples(rows).histogram, 0.0))
    assert wide.choose(unused, SIXTEEN, {}) == (-126.0, 12.0)


def weighed(histogram: Histogram, total: float) -> Histogram:
    return replace(histogram, weights=histogram.counts * (total / histogram.counts.sum()))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("noise", [1e-9, 1e-7, 1e-5, 1e-3, 1.0])
def test_16_bits_weigh_finer_steps_against_new_samples(noise: float, symmetric: bool) -> None:
    """Rounding costs `noise` of the outputs' power with the range that was seen."""
    form = TensorFormat(16, True, symmetric, "free")
    high = 20 + np.random.default_rng(3).exponential(1.0, 64)
    seen = of_samples(np.stack([np.zeros(64), high], 1))
    step = high.max() / (32767 if symmetric else 65535)
    made = replace(seen, histogram=weighed(seen.histogram, noise * 64 * 12 / step**2))
    low, end = wide.choose(made, form, {})
    largest = np.sort(high)
    start, excess = largest[47], (largest[48:] - largest[47]).mean()

    def expected(end: float) -> float:
        return float(noise * (end / high.max()) ** 2 + 0.1 * np.exp((start - end) / excess) / 4)

    assert low == 0.0 and 1.06 * high.max() <= end <= 2 * high.max()
    assert expected(end) <= min(expected(share * high.max()) for share in np.linspace(1.0625, 2, 101)) * 1.05


def test_16_bits_hardly_pass_a_bound() -> None:
    rows = np.stack([-np.arange(64) / 64, np.full(64, 6.0)], 1)  # a Clip at 6
    made = of_samples(rows)
    low, high = wide.choose(replace(made, histogram=weighed(made.histogram, 1.0)), SIXTEEN, {})
    assert high == 6.375 and -63 / 32 <= low < -63 / 60


def test_few_values_get_room_beyond_the_largest_but_not_beyond_a_bound() -> None:
    few = RNG.exponential(size=64)
    ends = output_error.choose(observed(few, np.ones(64)), ASYMMETRIC, {})
    assert ends[0] == 0.0 and few.max() * 1.05 < ends[1] < few.max() * 2
    bounded = np.minimum(RNG.exponential(4, size=64), 6.0)
    assert output_error.choose(observed(bounded, np.ones(64)), ASYMMETRIC, {}) == (0.0, 6.0)


def test_entropy_cuts_an_outlier_that_moves_the_grid() -> None:
    """40,000 normal numbers and two far away: the levels go where the numbers are."""
    ends = entropy.choose(observed(TAILED), SYMMETRIC, {})
    assert ends[0] == -ends[1] and 2.5 < ends[1] < 12
    low, high = entropy.choose(observed(np.append(HALF, 80.0)), ASYMMETRIC, {})
    assert low == 0.0 and 4 < high < 25


def test_entropy_keeps_everything_where_levels_are_finer_than_bins_or_even() -> None:
    assert entropy.choose(observed(TAILED), TensorFormat(16, True, True, "free"), {}) == (-45.0, 60.0)
    even = np.linspace(-1, 1, 50001)
    assert entropy.choose(observed(even), SYMMETRIC, {}) == (-1.0, 1.0)


def test_percentile() -> None:
    made = observed(TAILED)
    low, high = percentile.choose(made, SYMMETRIC, {"percentile": 99.0})
    assert high == pytest.approx(np.quantile(np.abs(TAILED), 0.99), abs=0.05) and low == -high
    low, high = percentile.choose(made, ASYMMETRIC, {"percentile": 98.0})
    assert low == pytest.approx(np.quantile(TAILED, 0.01), abs=0.05)
    assert high == pytest.approx(np.quantile(TAILED, 0.99), abs=0.05)
    assert percentile.choose(made, SYMMETRIC, {"percentile": 100}) == (-45.0, 60.0)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_constant_tensors_have_a_range(method: str) -> None:
    for value in (0.0, 3.0, -1.0):
        whole = observed(np.full(5, value), np.ones(5))
        seen = replace(whole, sample_ranges=np.full((1, 2), value), samples=1)
        low, high = METHODS[method](seen, ASYMMETRIC, {})
        scale, _ = ASYMMETRIC.grid(low, high)
        assert scale > 0 and abs((round(value / scale)) * scale - value) < 0.02
