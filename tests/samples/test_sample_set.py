"""Sets of one and several inputs, and the choice of samples from them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.samples.loader import Sample, SampleSet, pair, spread


def test_inputs_are_paired_by_stem() -> None:
    made = pair({"left": [Path("l/1.png"), Path("l/2.png")], "right": [Path("r/1.npy"), Path("r/2.npy")]})
    assert [sample.name for sample in made.entries] == ["1", "2"]
    assert made.entries[1].files == {"left": Path("l/2.png"), "right": Path("r/2.npy")}
    assert [sample.label for sample in made.with_labels([7, 3]).entries] == [7, 3]


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (["1", "2"], ["1"], "input right has no file for 2"),
        (["1"], ["1", "2"], "input left has no file for 2"),
        (["1", "2", "3", "4", "5"], ["6"], "input right has no file for 1, 2, 3 and 2 more"),
    ],
)
def test_a_stem_without_partner_is_named(left: list[str], right: list[str], message: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        pair(
            {
                "left": [Path(f"l/{name}.png") for name in left],
                "right": [Path(f"r/{name}.png") for name in right],
            }
        )
    assert message in str(caught.value)


def test_a_stem_twice_in_one_input_is_named() -> None:
    with pytest.raises(ModelbuildError, match="input left has two files called 1"):
        pair({"left": [Path("l/1.jpg"), Path("l/1.png")], "right": [Path("r/1.png")]})


def test_spread_takes_the_middles_of_equal_parts() -> None:
    assert spread(1, 5) == [2]
    assert spread(2, 8) == [2, 6]
    assert spread(3, 10) == [1, 5, 8]
    assert spread(4, 4) == [0, 1, 2, 3]
    chosen = SampleSet(tuple(Sample({}, str(index)) for index in range(8))).choose(2)
    assert [sample.name for sample in chosen.entries] == ["2", "6"]


@given(total=st.integers(1, 5000), data=st.data())
def test_spread_is_even_distinct_and_sorted(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, total))
    indices = spread(count, total)
    steps = {second - first for first, second in itertools.pairwise(indices)}
    assert len(set(indices)) == count and indices == sorted(indices)
    assert indices[0] >= 0 and indices[-1] < total
    assert not steps or max(steps) - min(steps) <= 1


@pytest.mark.parametrize(("count", "message"), [(6, "6 samples asked for, the set has 5"), (0, "0 samples")])
def test_too_many_or_none_is_an_error(count: int, message: str) -> None:
    with pytest.raises(ModelbuildError, match=message):
        spread(count, 5)
