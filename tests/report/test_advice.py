"""What is told where the SNR is too low: four steps in one order, and the layers by name."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from modelbuild.report.advice import Facts, Named, block, steps, text, together, worst


def node(name: str, gain: float, **changed: Any) -> dict[str, Any]:
    usual = {"op": "Conv", "activations": "int8", "weights": "int8", "gain_db": gain, "macs": 10}
    return {"node": name, **usual, **changed}


SENSITIVITY = {
    "predicted_snr_db": 20.0,
    "nodes": [
        node("c:1", 3.0),
        node("x", 1.0, op="", weights=None),
        node("wide", 0.8, activations="int16", weights="int16"),
        node("sum", 0.5, op="Add", weights=None),
        node("late", 0.01),
    ],
}
QUANTIZE = {"samples": 64, "method": "mse", "sensitivity": SENSITIVITY}


def test_the_order_is_that_of_the_likeliest_cause() -> None:
    first, second, third, fourth = steps(Facts(QUANTIZE, removed=True), 3.5)
    assert first == "more calibration samples like the field's; the ranges are from 64 samples"
    assert second == "is the removed tail in the post-processing?"
    assert third.startswith("another range method: `quantize: {range: {method: output_error}}`")
    assert fourth.startswith("int16 for the 2 worst layers, predicted to win 5.")
    assert text(["a", "b"]) == "in this order:\n       1. a\n       2. b"


def test_auto_is_not_recommended_where_it_is_on() -> None:
    assert "(or `mode: auto`)" in steps(Facts(QUANTIZE))[3]
    assert "has held the bound on the calibration" in steps(Facts({**QUANTIZE, "mode": "auto"}))[3]


def test_as_many_layers_as_make_up_for_what_is_missing() -> None:
    assert [each.name for each in worst(SENSITIVITY, 2.9)] == ["c:1"]
    assert [each.name for each in worst(SENSITIVITY, 90)] == ["c:1", "x", "sum"]
    assert [each.name for each in worst(SENSITIVITY, None)] == ["c:1", "x", "sum"]


def test_settings_are_yaml_for_the_manifest() -> None:
    assert yaml.safe_load(block(worst(SENSITIVITY, None))) == {
        "quantize": {
            "nodes": {
                "c:1": {"activations": "int16", "weights": "int16"},
                "sum": {"activations": "int16"},
            },
            "inputs": {"x": "int16"},
        }
    }


def test_it_is_said_on_which_samples_and_whether_it_is_enough() -> None:
    enough, lacking = (steps(Facts(QUANTIZE), missing)[3].splitlines()[0] for missing in (2.9, 8.4))
    assert enough.endswith("on the calibration samples, 2.9 dB are missing (or `mode: auto`):")
    assert lacking.endswith(
        "on the calibration samples, which is not enough: 8.4 dB are missing (use `mode: auto`):"
    )


def test_gains_add_up_as_shares_of_the_noise() -> None:
    half = Named("a", 3.0103, "nodes", "")
    assert together([half]) == pytest.approx(3.0)
    assert together([Named(name, 1.2494, "nodes", "") for name in "ab"]) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (Facts(QUANTIZE, has_int16=False), "this chip has none"),
        (Facts({"samples": 3}), "quantize without `record:`"),
        (Facts({"sensitivity": {"nodes": []}}), "none of them alone"),
    ],
)
def test_where_there_is_nothing_to_name(facts: Facts, said: str) -> None:
    assert said in steps(facts)[3]
