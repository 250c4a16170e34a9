"""Every value is counted once, in the bin between whose ends it lies, and zeros apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelbuild.quantize.counting import Bins, Channels
from modelbuild.quantize.looking import VALUES, places_in

EACH = 16


def some(seed: int, shape: tuple[int, ...], scale: float, middle: float, dtype: Any) -> NDArray[Any]:
    """Normal numbers, of which a third are zeros."""
    rng = np.random.default_rng(seed)
    found = middle + scale * rng.standard_normal(shape)
    return np.where(rng.random(shape) < 1 / 3, 0, found).astype(dtype)


@settings(deadline=None)
@given(
    seed=st.integers(0, 999),
    scale=st.sampled_from([1e-42, 1e-30, 1e-3, 1.0, 1e5, 1e37]),
    middle=st.sampled_from([-5.0, 0.0, 2.0]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    channels=st.integers(1, 5),
)
def test_bins_are_those_of_plain_arithmetic(seed, scale, middle, dtype, channels) -> None:
    scale = min(scale, 1e3) if dtype == np.float16 else scale
    values = some(seed, (3, 40), scale, middle * scale, dtype)
    channel_of = np.arange(40) % channels
    rows = [values[:, channel_of == channel].astype(np.float64) for channel in range(channels)]
    low, high = np.array([row.min() for row in rows]), np.array([row.max() for row in rows])
    bins = Bins.between(low, high, EACH, dtype)
    weights = np.random.default_rng(seed).random(values.shape)
    places = bins.places(bins.scaled(values, channel_of), values == 0, channel_of)
    counts, sums = bins.counted(places), bins.weighed(places, weights)
    zero = values == 0
    assert counts[-1] == zero.sum() and sums[-1] == pytest.approx(weights[zero].sum())
    for channel, row in enumerate(rows):
        width = high[channel] - low[channel]
        exact = (row - low[channel]) / width * EACH if width else np.zeros_like(row)
        mine = (places[:, channel_of == channel] - channel * EACH)[row != 0]
        expected = exact[row != 0]
        assert ((mine >= 0) & (mine < EACH)).all()
        assert (mine <= expected + 1e-3).all() and (mine >= np.minimum(expected, EACH) - 1 - 1e-3).all()
        part = slice(channel * EACH, (channel + 1) * EACH)
        assert counts[part].tolist() == np.bincount(mine, minlength=EACH).tolist()
        assert sums[part].sum() == pytest.approx(weights[:, channel_of == channel][row != 0].sum())


def test_an_end_belongs_to_the_outermost_bin_and_so_does_what_lies_beyond() -> None:
    bins = Bins.between(np.array([-1.0]), np.array([3.0]), 4, np.float32)
    values = np.array([[-9, -1, -0.5, 0.5, 2.999, 3, 9]], np.float32)
    assert bins.places(bins.scaled(values), values == 0).tolist() == [[0, 0, 0, 1, 3, 3, 3]]


def test_zeros_outside_the_range_are_zeros() -> None:
    bins = Bins.between(np.array([2.0, -3.0]), np.array([3.0, -1.0]), 4, np.float32)
    values, channel_of = np.array([[0, 2.6, 0, -1.2]], np.float32), np.array([0, 0, 1, 1])
    assert bins.places(bins.scaled(values, channel_of), values == 0, channel_of).tolist() == [[8, 2, 8, 7]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_numbers_have_a_bin(dtype: Any) -> None:
    most = np.finfo(dtype).max
    bins = Bins.between(np.array([-most], np.float64), np.array([most], np.float64), 4, dtype)
    values = np.array([[-most, most / -3, 0, most / 3, most]], dtype)
    with np.errstate(over="ignore"):  # of the difference to the low end: it has the last bin
        places = bins.places(bins.scaled(values), values == 0)
    assert places[0, 0] == 0 and places[0, 2] == 4 and places[0, 4] == 3


def test_places_of_more_cells_than_32_bits_count() -> None:
    low = np.zeros(1 << 20)
    bins = Bins.between(low, low + 1, 1 << 12, np.float32)
    channel_of = np.array([0, (1 << 20) - 1])
    values = np.array([[0.5, 0.5]], np.float32)
    places = bins.places(bins.scaled(values, channel_of), values == 0, channel_of)
    assert places.tolist() == [[1 << 11, (1 << 32) - (1 << 11)]]


@pytest.mark.parametrize("shape", [(), (7,), (2, 5), (1, 3, 4, 4), (2, 3, 4, 4), (1, 40, 37, 41), (1, 20000)])
def test_totals_are_sums_by_channel(shape: tuple[int, ...]) -> None:
    channels = Channels.of_shape(shape)
    values = np.random.default_rng(0).standard_normal(shape)
    seen = places_in(shape).of(values)
    number = np.zeros(shape, int)
    if len(shape) > 1:
        number = number + np.arange(shape[1]).reshape(-1, *[1] * (len(shape) - 2))
    of = places_in(shape).of(number)
    assert channels.count == (shape[1] if len(shape) > 1 else 1) and len(seen) <= 3 * VALUES
    expected = [seen[of == channel].sum() for channel in range(channels.count)]
    np.testing.assert_allclose(channels.totals(seen), expected, atol=1e-12)
    assert channels.sizes().tolist() == np.bincount(of, minlength=channels.count).tolist()
