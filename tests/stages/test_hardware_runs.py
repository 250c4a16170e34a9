"""Runs of a program that takes other numbers of pictures than its model: no row is lost or counted twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.stages.hardware_match import Match, check_cycles
from modelbuild.stages.hardware_runs import Regrouped, Run, Sample, runs


def samples(count: int, own: int) -> list[Sample]:
    """Sample s has the rows s * 100 + r; the model makes their negatives, and a tensor without pictures."""
    made = []
    for number in range(count):
        x = np.stack([np.full((2,), number * 100 + row) for row in range(own)])
        made.append(Sample({"x": x}, {"x": x / 2}, {"x": x, "y": -x, "c": np.arange(3)}))
    return made


def program(one: Run) -> dict[str, Any]:
    return {"y": -one.inputs()["x"], "c": np.arange(3)}


@given(st.integers(1, 7), st.integers(1, 4), st.integers(1, 6))
def test_every_row_is_run_once_and_every_sample_comes_back(count: int, own: int, wide: int) -> None:
    given_, match, regrouped = samples(count, own), Match(), Regrouped(own)
    back = []
    for one in runs(iter(given_), own, wide):
        found = program(one)
        assert one.inputs()["x"].shape == (wide, 2)
        kept = one.own(found)
        match.add("outputs", kept, one.expected(found), one.place)
        back += list(regrouped.add(one, kept))
    assert match.equal and match.to_json()["first_difference"] is None
    assert [sample for sample, _ in back] == given_
    for sample, outputs in back:
        np.testing.assert_array_equal(outputs["y"], sample.expected["y"])


@given(st.data(), st.integers(1, 5), st.integers(1, 3), st.integers(1, 5))
def test_a_wrong_value_is_found_where_it_is(data: st.DataObject, count: int, own: int, wide: int) -> None:
    wrong_sample, wrong_row = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, own - 1))
    match = Match()
    for one in runs(iter(samples(count, own)), own, wide):
        found = program(one)
        found["y"] = np.where(found["y"] == -(wrong_sample * 100 + wrong_row), 7, found["y"])
        match.add("layers", one.own(found), one.expected(found), one.place)
    told = match.to_json()
    assert not match.equal
    assert told["layers"][0] == {"name": "y", "equal": False, "differing": 2}
    assert told["first_difference"] == {
        "in": "layers",
        "name": "y",
        "sample": wrong_sample,
        "element": [wrong_row, 0],
        "found": 7,
        "expected": -(wrong_sample * 100 + wrong_row),
    }


def test_the_last_picture_fills_a_run() -> None:
    (first, second) = runs(iter(samples(3, 1)), 1, 2)
    assert second.inputs()["x"][:, 0].tolist() == [200, 200]
    assert second.own(program(second))["y"].shape == (1, 2)
    assert first.inputs()["x"][:, 0].tolist() == [0, 100]


def test_no_more_runs_than_are_wanted() -> None:
    assert len(list(runs(iter(samples(9, 1)), 1, 2, 3))) == 3
    assert len(list(runs(iter(samples(9, 1)), 1, 1))) == 9


def test_not_a_number_equals_itself() -> None:
    match = Match()
    nan = np.array([np.nan, 1.0])
    match.add("outputs", {"y": nan}, {"y": nan.copy()}, lambda element: (0, element))
    assert match.equal


def test_other_cycles_than_were_predicted_are_a_bug() -> None:
    check_cycles(5, 5)
    with pytest.raises(ModelbuildError) as caught:
        check_cycles(1000, 1001)
    (problem,) = caught.value.problems
    assert problem.what == "the simulator counts 1,001 cycles, the compiler predicted 1,000"
    assert "bug of modelbuild" in problem.why and caught.value.exit_code == 1
