"""What `mode: auto` works towards: which bounds samples can tell, and how far a measurement is from them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.goals import MARGIN_DB, Held, held, measurable

ACCEPT = {
    "snr_db": 30,
    "top1": 0.5,
    "top1_drop": 0.1,
    "map": 0.3,
    "function": {"f.py:f": {"at_least": 1}},
    "fps": 9,
}


@pytest.mark.parametrize(
    ("labels", "evaluated", "keys"),
    [
        (None, None, {"snr_db", "top1_drop", "function"}),
        (None, "classes", {"snr_db", "top1_drop"}),
        ("classes", "classes", {"snr_db", "top1", "top1_drop", "function"}),
        ("boxes", "classes", {"snr_db", "top1_drop", "map"}),
    ],
)
def test_which_bounds_calibration_samples_tell(
    labels: str | None, evaluated: str | None, keys: set[str]
) -> None:
    assert measurable(ACCEPT, labels, evaluated).keys() == keys


def measured(**further: Any) -> dict[str, Any]:
    outputs = [
        {"name": "a", "snr_db": 20.0, "snr_db_mean": 22.0, "cosine": 0.99, "max_abs": 0.4},
        {"name": "b", "snr_db": 26.0, "snr_db_mean": 22.0, "cosine": 0.999, "max_abs": 0.1},
    ]
    accuracy = {"fixed": {"top1": 0.75, "top5": 1.0}, "drop": {"top1": 0.125, "top5": 0.0}}
    functions = {"float": {"f.py:f": 3.0}, "fixed": {"f.py:f": 2.0}}
    return {"outputs": outputs, "accuracy": accuracy, "functions": functions, **further}


def one(accept: dict[str, Any]) -> Held:
    (found,) = held(accept, measured())
    return found


@pytest.mark.parametrize(
    ("accept", "missing"),
    [
        ({"snr_db": {"a": 23}}, 3 + MARGIN_DB),
        ({"snr_db": {"a": 19}}, 0.0),  # just what is kept in hand
        ({"snr_db_mean": {"b": 22.5}}, 0.5 + MARGIN_DB),
        ({"cosine": {"a": 0.999}}, 10 + MARGIN_DB),  # a tenth of the noise
        ({"max_abs": {"a": 0.04}}, 20 + MARGIN_DB),  # a tenth of the amplitude
    ],
)
def test_how_many_decibels_are_missing(accept: dict[str, Any], missing: float) -> None:
    found = one(accept)
    assert found.missing_db == pytest.approx(missing, abs=1e-6)
    assert found.holds == (missing <= 1e-9)


@pytest.mark.parametrize(
    ("accept", "check", "value", "holds"),
    [
        ({"top1": 0.75}, "top1", 0.75, True),
        ({"top1": 0.76}, "top1", 0.75, False),
        ({"top1_drop": 0.125}, "top1_drop", 0.125, True),
        ({"top1_drop": 0.12}, "top1_drop", 0.125, False),
        ({"top5_drop": 0.0}, "top5_drop", 0.0, True),
        ({"function": {"f.py:f": {"at_least": 2}}}, "f.py:f", 2.0, True),
        ({"function": {"f.py:f": {"at_most": 1}}}, "f.py:f", 2.0, False),
        ({"function": {"f.py:f": {"drop": 0.5}}}, "drop of f.py:f", 1.0, False),
        ({"function": {"f.py:f": {"rise": 0.5}}}, "rise of f.py:f", -1.0, True),
    ],
)
def test_of_shares_and_functions_nobody_knows_what_is_missing(
    accept: dict[str, Any], check: str, value: float, holds: bool
) -> None:
    found = one(accept)
    assert (found.check, found.measured, found.holds) == (check, value, holds)
    assert found.missing_db == (0.0 if holds else None)


def test_a_bound_for_all_outputs_and_one_of_none() -> None:
    assert [found.check for found in held({"snr_db": 20}, measured())] == ["snr_db of a", "snr_db of b"]
    with pytest.raises(ModelbuildError, match="no output 'c'"):
        held({"cosine": {"c": 0.9}}, measured())


def test_bounds_that_nothing_can_exceed_are_numbers_all_the_same() -> None:
    assert all(
        found.missing_db is not None and math.isfinite(found.missing_db)
        for found in held({"cosine": 1.0, "max_abs": 0.0}, measured())
    )
