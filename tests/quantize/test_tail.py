"""The exponential tail through the samples' largest extremes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.quantize.histogram import BINS, Histogram
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.ranges.tail import SHARE, Tail, tails
from modelbuild.quantize.sample_ranges import SampleRanges

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=128)


def of_samples(ends: np.ndarray) -> TensorObservation:
    """Samples with these extremes [samples, 2], as observation keeps them."""
    kept = SampleRanges()
    for sample in ends:
        kept.add(sample[None])
    one, whole = np.zeros(1), Histogram(ends.min(), ends.max(), np.ones(BINS, np.int64), 0)
    seen = TensorObservation(whole, BINS, one, one, one, one)
    return replace(seen, sample_ranges=kept.found()[0], samples=len(ends))


def test_a_tail_is_what_its_samples_were_drawn_from() -> None:
    tail = Tail.of(5 + np.random.default_rng(7).exponential(2.0, 40000))
    assert tail is not None
    assert tail.start == pytest.approx(5 + 2 * math.log(SHARE), rel=0.02)
    assert tail.excess == pytest.approx(2.0, rel=0.03)
    assert tail.passed_by(1e-4) == pytest.approx(5 + 2 * math.log(1e4), rel=0.03)


def test_fewer_than_eight_samples_tell_nothing() -> None:
    assert Tail.of(np.arange(7.0)) is None
    assert Tail.of(np.arange(8.0)) == Tail(5.0, 1.5)
    assert tails(replace(of_samples(np.zeros((9, 2))), sample_ranges=np.zeros((0, 2)))) == (None, None)


def test_means_of_neighbours_tell_what_the_samples_would() -> None:
    values = np.random.default_rng(5).normal([-9.0, 9.0], 1.0, (1000, 2))
    for part, found in zip((-values[:, 0], values[:, 1]), tails(of_samples(values)), strict=True):
        exact = Tail.of(part)
        assert exact is not None and found is not None
        assert found.passed_by(1e-5) == pytest.approx(exact.passed_by(1e-5), rel=0.05)


def test_a_row_of_fewer_samples_is_spread_by_its_own_number() -> None:
    """Eight rows of two samples and one of one, which is the largest: its own extreme is known as it is."""
    rows, samples = np.array([*range(8), 20.0]), np.array([2] * 8 + [1])
    mean, found = 76 / 17, Tail.of(rows, samples)
    assert found is not None
    assert found.start == pytest.approx(mean + math.sqrt(2) * (6 - mean))
    seventh = mean + math.sqrt(2) * (7 - mean)
    assert found.excess == pytest.approx((seventh + 20) / 2 - found.start)
    assert Tail.of(rows, np.ones(9, np.int64)) == Tail.of(rows) == Tail(6.0, 7.5)


def test_the_last_mean_of_many_samples_stands_for_few() -> None:
    """Of 129 samples the last stands alone: as far from the mean as it came, no further."""
    ends = np.zeros((129, 2))
    ends[:-1, 1], ends[-1, 1] = np.repeat(np.arange(64.0), 2), 300.0
    _, found = tails(of_samples(ends))
    rows = np.append(np.arange(64.0), 300.0)
    assert found is not None and found == Tail.of(rows, np.array([2] * 64 + [1]))
    spread = Tail.of(rows, np.full(65, 2))
    assert spread is not None and found.excess < spread.excess - 5


@pytest.mark.parametrize("samples", [1, 2])
def test_numbers_as_large_as_there_are(samples: int) -> None:
    counts = np.full(64, samples)
    assert Tail.of(np.full(64, 1.7e308), counts) == Tail(1.7e308, 0.0)
    ends = np.where(np.arange(64) < 60, -1.7e308, 1.7e308)
    found = Tail.of(ends, counts)
    assert found is not None and math.isfinite(found.start)
    assert found.excess == pytest.approx(1.7e308 / 2 * math.sqrt(samples), rel=1e-9)


@given(NUMBERS, st.floats(1e-300, 1.0), st.floats(1e-300, 1.0))
def test_rarer_samples_go_further(extremes: list[float], one: float, other: float) -> None:
    tail = Tail.of(np.array(extremes))
    assert tail is not None and tail.excess >= 0.0
    assert tail.start in extremes
    assert tail.passed_by(max(one, other)) <= tail.passed_by(min(one, other))
    assert tail.passed_by(1.0) == tail.passed_by(1 / SHARE) == tail.start


@given(NUMBERS, st.integers(-10, 10))
def test_a_tail_has_the_unit_of_its_tensor(extremes: list[float], power: int) -> None:
    tail, other = Tail.of(np.array(extremes)), Tail.of(np.array(extremes) * 2.0**power)
    assert tail is not None and other is not None
    assert other.passed_by(1e-6) == pytest.approx(tail.passed_by(1e-6) * 2.0**power, rel=1e-9, abs=1e-9)


def test_a_bound_has_no_tail() -> None:
    assert Tail(6.0, 0.0).passed_by(0.0) == 6.0
    assert Tail(6.0, 1.0).passed_by(0.0) == math.inf
