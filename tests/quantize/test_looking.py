"""Which values are looked at, and by which signs outputs are weighed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.quantize.looking import VALUES, places_in, random_signs
from tests.hypotheses import examples

SIGNS = "+++++---++++-+--+---+---"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4))
@examples(30)
def test_every_channel_row_and_column_is_looked_at(dims: list[int]) -> None:
    shape = tuple(dims)
    places = places_in(shape)
    cells = np.arange(np.prod(shape))
    assert places.count == len(places.of(cells)) <= (VALUES if places.pace > 1 else 3 * VALUES)
    assert places.count * 6 > min(len(cells), VALUES)
    channels = places.of(cells) // int(np.prod(shape[2:])) % shape[1] if len(shape) > 1 else 0
    np.testing.assert_array_equal(places.channels(shape), channels)
    for axis in range(1, len(shape)):
        seen = np.bincount(np.unravel_index(places.of(cells), shape)[axis], minlength=shape[axis])
        assert seen.max() - seen.min() <= max(2 * shape[0], 0.05 * seen.max())


@pytest.mark.parametrize("shape", [(1, 7, 2310), (1, 11, 2310), (1, 1, 30030), (3, 2310, 4), (1, 210, 210)])
def test_sizes_of_many_factors_are_looked_at_as_well(shape: tuple[int, ...]) -> None:
    assert places_in(shape).count * 6 > min(int(np.prod(shape)), VALUES)


def test_signs_are_the_same_everywhere() -> None:
    assert "".join("-+"[int(sign > 0)] for sign in random_signs(3, 24)) == SIGNS
    assert set(random_signs(0, 1000)) == {-1, 1} and abs(random_signs(1, 10**5).mean()) < 0.02
    assert (random_signs(1, 100) != random_signs(2, 100)).any()
