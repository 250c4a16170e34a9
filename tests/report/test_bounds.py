"""What is said of bounds that do not hold: float beside fixed, at least or at most, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.report.advice import Facts
from modelbuild.report.bounds import advice, said
from modelbuild.report.verdict import Check, judge
from modelbuild.report.widths import of_speed

FACTS = {"m": Facts({"samples": 64, "method": "mse"})}
WIDE = {
    "tensors": [{"bits": 8}, {"bits": 16}],
    "sensitivity": {
        "macs": 200,
        "macs_int16": 50,
        "nodes": [
            {"op": "Conv", "activations": "int16", "weights": "int8"},
            {"op": "Add", "activations": "int8", "weights": None},
        ],
    },
}


def judged(accept: dict[str, Any], fixed: dict[str, Any]) -> list[Check]:
    hardware = {"equal": None}
    return [one for one in judge("m", accept, {"fixed": fixed, "hardware": hardware}) if not one.passed]


def shares(of_float: float, fixed: float, key: str = "map50") -> dict[str, Any]:
    drop = {key: of_float - fixed}
    return {"accuracy": {"labelled": 9, "float": {key: of_float}, "fixed": {key: fixed}, "drop": drop}}


OUTPUT = {"name": "a", "snr_db": 20.0, "snr_db_mean": 20.0, "cosine": 0.99, "max_abs": 0.5}


@pytest.mark.parametrize(
    ("accept", "fixed", "line"),
    [
        ({"cosine": 0.999}, {"outputs": [OUTPUT]}, "cosine of a is 0.99, the bound is at least 0.999"),
        ({"max_abs": 0.1}, {"outputs": [OUTPUT]}, "max_abs of a is 0.5, the bound is at most 0.1"),
        (
            {"top5_drop": 0.1},
            shares(0.9, 0.5, "top5"),
            "top5_drop is 0.4 (float: 0.9), the bound is at most 0.1",
        ),
        ({"map": 0.4}, shares(0.5, 0.2, "map"), "map is 0.2 (float: 0.5), the bound is at least 0.4"),
        (
            {"function": {"s.py:f": {"at_least": 2.0}}},
            {"functions": {"float": {"s.py:f": 2.5}, "fixed": {"s.py:f": 1.0}}},
            "s.py:f is 1 (float: 2.5), the bound is at least 2",
        ),
    ],
)
def test_every_bound_on_accuracy_brings_the_ordered_list(
    accept: dict[str, Any], fixed: dict[str, Any], line: str
) -> None:
    failed = judged(accept, fixed)
    assert [said(one) for one in failed] == [line]
    assert advice(failed, FACTS)[failed[0]].startswith("in this order:\n       1. more calibration samples")


def test_where_float_finds_nothing_either_quantization_is_not_blamed() -> None:
    failed = judged({"map50": 0.3}, shares(0.0, 0.0))
    assert said(failed[0]) == "map50 is 0 (float: 0), the bound is at least 0.3"
    told = advice(failed, FACTS)[failed[0]]
    assert told.startswith(
        "the float model itself reaches 0, so that quantization is not the reason: look at"
    )
    assert "boxes as x1, y1, x2, y2" in told


def test_what_to_look_at_where_float_is_too_bad_goes_with_the_bound() -> None:
    (of_classes,) = judged({"top1": 0.9}, shares(0.5, 0.5, "top1"))
    functions = {"functions": {"float": {"s.py:f": 1.0}, "fixed": {"s.py:f": 1.0}}}
    (of_function,) = judged({"function": {"s.py:f": {"at_least": 2.0}}}, functions)
    for check, words in (
        (of_classes, "the labels (the first class is 0)"),
        (of_function, "the function, the"),
    ):
        told = advice([check], FACTS)[check]
        assert words in told and "boxes" not in told and "write a bound that float holds" in told


def test_the_list_stands_once_a_model() -> None:
    failed = judged({"cosine": 0.999, "max_abs": 0.1, "snr_db": 30}, {"outputs": [OUTPUT]})
    assert list(advice(failed, FACTS)) == [failed[0]] and len(failed) == 3


@pytest.mark.parametrize("first", [28.0, 18.0])
def test_whether_16_bits_suffice_is_judged_by_the_worst_output(first: float) -> None:
    """6 dB are won: enough for one of the outputs, whichever it is."""
    of_node = {"node": "conv", "op": "Conv", "gain_db": 6.0, "activations": "int8", "weights": "int8"}
    facts = {"m": Facts({"sensitivity": {"nodes": [of_node]}})}
    outputs = [{**OUTPUT, "snr_db": first}, {**OUTPUT, "name": "b", "snr_db": 46.0 - first}]
    failed = judged({"snr_db": 30}, {"outputs": outputs})
    assert len(failed) == 2
    assert "where 12.0 dB are missing: not enough" in advice(failed, facts)[failed[0]]


def test_a_speed_says_that_it_is_not_that_of_16_bits() -> None:
    measurements = {"evaluate": {"fps": 50.0}, "quantize": WIDE, "hardware": {"equal": None}}
    (check,) = judge("m", {"fps": 40}, measurements)
    told = "predicted for 8 bits, but 1 of 2 layers and 25 % of the MACs have 16 bits: it will be slower"
    assert check.passed and check.note == told
    several = {"fps": 50.0, "pictures_per_inference": 16, "pictures_per_second": 800.0}
    (batched,) = judge("m", {"fps": 60}, {**measurements, "quantize": {}, "evaluate": several})
    assert not batched.passed and batched.note == "an inference is 16 pictures, 800 a second"
    (narrow,) = judge("m", {"fps": 40}, {**measurements, "quantize": {"tensors": [{"bits": 8}]}})
    assert narrow.note == ""


def test_a_bound_on_speed_of_a_model_of_16_bits_is_warned_of() -> None:
    wide = {"tensors": [{"bits": 16}, {"bits": 8}]}
    (found,) = of_speed(wide, {})
    assert (found.code, found.severity) == ("MB306", "warning")
    assert "predicted for 8 bits, but 1 of 2 tensors have 16 bits" in found.message
    assert of_speed({"tensors": [{"bits": 8}]}, {}) == []


def test_a_speed_predicted_for_the_models_own_formats_needs_no_caveat() -> None:
    wide = {"tensors": [{"bits": 16}], "activations": "int16", "weights": "int8"}
    assert of_speed(wide, {"activations": "int16", "weights": "int8"}) == []
    assert of_speed(wide, {"activations": "int8", "weights": "int8"}) != []
