"""What is told where the SNR is too low: four steps in one order, and the layers by name."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from modelbuild.report.advice import Facts, Lacking, Named, block, on_evaluation, steps, text, together, worst


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


FACTS = Facts(QUANTIZE)
FIXED = {"samples": 40, "outputs": [{"name": "y", "snr_db": 20.0, "after_chip": False}]}


def lacking(missing_db: float | None, **of_auto: float) -> list[Lacking]:
    return [Lacking("snr_db of y", 20.0, missing_db, **of_auto)]


def test_the_order_is_that_of_the_likeliest_cause() -> None:
    facts = Facts(QUANTIZE, removed=True, pair="m@t")
    first, second, third, fourth = steps(facts, lacking(3.5))
    assert first == "more calibration samples like the field's; the ranges are from 64 samples"
    assert second == "is the removed tail in the post-processing?"
    assert third.startswith("another range method: `quantize: {range: {method: output_error}}`")
    assert third.endswith(
        "`modelbuild sweep m@t --try quantize.range.method=mse,output_error,percentile,entropy,minmax` "
        "measures all"
    )
    assert fourth.startswith("int16 for the 2 worst layers, predicted to win 5.")
    assert len(steps(Facts(QUANTIZE))) == 3  # without a removed tail
    assert text(["a", "b"]) == "in this order:\n       1. a\n       2. b"


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (1, "1 sample; fewer than 8 do not show the range of each tensor, 64 or more are better"),
        (16, "16 samples, 64 or more are better"),
        (64, "64 samples"),
    ],
)
def test_few_samples_are_told_of(samples: int, told: str) -> None:
    assert steps(Facts({"samples": samples}))[0].endswith(f"; the ranges are from {told}")


def test_as_many_layers_as_make_up_for_what_is_missing() -> None:
    assert [each.name for each in worst(FACTS, 2.9)] == ["c:1"]
    assert [each.name for each in worst(FACTS, 90)] == ["c:1", "x", "sum"]
    assert [each.name for each in worst(FACTS, None)] == ["c:1", "x", "sum"]


def test_what_is_won_on_evaluation_samples_is_of_the_noise_that_is_measured_there() -> None:
    named = [Named("a", 3.0103, "nodes", "")]  # half of what is predicted
    same, twice = ({"outputs": [{"snr_db": snr}]} for snr in (20.0, 20.0 - 3.0103))
    assert on_evaluation(Facts(QUANTIZE, fixed=same), named) == 3.0
    assert on_evaluation(Facts(QUANTIZE, fixed=twice), named) == pytest.approx(1.2)  # a quarter
    better = {"outputs": [{"snr_db": 30.0}, {"snr_db": None}]}
    assert on_evaluation(Facts(QUANTIZE, fixed=better), named) == 3.0
    for unknown in ({}, {"outputs": [{"snr_db": None}]}, {"outputs": [{"snr_db": 9.0, "after_chip": True}]}):
        assert on_evaluation(Facts(QUANTIZE, fixed=unknown), named) is None


def test_layers_are_enough_where_they_are_on_the_evaluation_samples() -> None:
    noisy = {"samples": 40, "outputs": [{"snr_db": 17.0}]}
    assert len(worst(Facts(QUANTIZE, fixed=FIXED), 2.9)) == 1
    assert len(worst(Facts(QUANTIZE, fixed=noisy), 2.9)) == 3


def test_settings_are_yaml_for_the_manifest() -> None:
    assert yaml.safe_load(block(worst(FACTS, None))) == {
        "quantize": {
            "nodes": {
                "c:1": {"activations": "int16", "weights": "int16"},
                "sum": {"activations": "int16"},
            },
            "inputs": {"x": "int16"},
        }
    }


def test_it_is_said_on_which_samples_and_whether_it_is_enough() -> None:
    facts = Facts(QUANTIZE, fixed=FIXED)
    enough, few = (steps(facts, lacking(missing))[-1].splitlines()[0] for missing in (2.9, 8.4))
    assert enough == (
        "int16 for the worst layer, predicted to win 3.0 dB on the calibration samples (to 23.0 dB), 3.0 dB "
        "of the noise measured on the 40 evaluation samples, where 2.9 dB are missing (or `mode: auto`); "
        "this is predicted, not measured: on other samples they may win less, or lose:"
    )
    assert "where 8.4 dB are missing: not enough (use `mode: auto`); this is predicted" in few
    assert few.endswith("or lose; of the gains shares of the noise add up, not decibels:")
    unmeasured = steps(FACTS)[-1].splitlines()[0]
    assert "dB together on the calibration samples" in unmeasured and "not measured: on other" in unmeasured


def test_no_layer_is_named_where_the_samples_hold_one_value_alone() -> None:
    first, *_, last = steps(Facts({**QUANTIZE, "samples": 1}, fixed=FIXED, blank=1), lacking(2.9))
    assert first.startswith("more calibration samples like the field's; the ranges are from 1 sample, which ")
    assert "which holds one value alone; fewer than 8 do not show the range of each tensor, 64 or" in first
    assert last == "int16 for the worst layers: samples that hold one value alone do not tell which they are"
    some = steps(Facts(QUANTIZE, blank=3))
    assert some[0].endswith("from 64 samples, of which 3 hold one value alone")
    assert some[-1].startswith("int16 for the 3 worst layers")
    for_auto = steps(Facts({**AUTO, "samples": 2}, blank=2), lacking(2.9, calibrated=48.0, ahead_db=3.0))
    assert for_auto[-1] == last


def test_no_layer_is_named_where_next_to_nothing_of_the_loss_was_foreseen() -> None:
    lost = {"samples": 40, "outputs": [{"snr_db": -0.5}]}
    step = steps(Facts(QUANTIZE, fixed=lost), lacking(25.5))[-1]
    assert step.startswith("int16 for the worst layers: they would win nothing: of the noise measured on the")
    assert "on the 40 evaluation samples less than 1% is predicted" in step and "nodes" not in step
    halved = {"samples": 40, "outputs": [{"snr_db": 2.0}]}
    assert "nodes:" in steps(Facts(QUANTIZE, fixed=halved), lacking(25.5))[-1]


def test_a_line_has_its_own_gain_and_that_of_all_down_to_it() -> None:
    lines = block(worst(FACTS, None)).splitlines()
    assert [line.split("  # ")[1] for line in lines if "#" in line] == [
        "+3.0 dB",
        "+0.5 dB; with those above +4.1 dB",
        "+1.0 dB; with those above +7.3 dB",
    ]
    assert together(worst(FACTS, None)) == 7.3


AUTO = {**QUANTIZE, "mode": "auto", "auto": {"samples": 16, "margin_db": 1.0}}


def test_with_auto_no_node_is_to_be_pasted_but_what_it_keeps_in_hand() -> None:
    step = steps(Facts(AUTO, fixed=FIXED), lacking(4.6, calibrated=48.0, ahead_db=3.0))[-1]
    first, second, third, *pasted = step.splitlines()
    assert first.endswith("on the calibration samples: c:1 (+3.0 dB), x (+1.0 dB)")
    assert second == "snr_db of y is 48 on 16 calibration samples, 20 on the 40 evaluation samples"
    assert third.startswith("let it keep that difference in hand")
    assert yaml.safe_load("\n".join(pasted)) == {"quantize": {"mode": "auto", "margin_db": 8}}


def test_auto_keeps_more_in_hand_also_where_no_layer_is_predicted_to_win() -> None:
    facts = Facts({**AUTO, "sensitivity": {"predicted_snr_db": 60.0, "nodes": [node("late", 0.01)]}})
    step = steps(facts, lacking(4.6, calibrated=48.0, ahead_db=3.0))[-1]
    assert step.startswith("int16 for more layers") and step.endswith("margin_db: 8  # 1 now")


@pytest.mark.parametrize(("ahead", "margin"), [(1.0, 3), (0.0, 2), (7.5, 9), (99.0, None)])
def test_a_margin_grows_from_one_advice_to_the_next(ahead: float, margin: int | None) -> None:
    step = steps(Facts(AUTO), lacking(1.2 if ahead else 0.5, calibrated=48.0, ahead_db=ahead))[-1]
    assert (f"margin_db: {margin}  # 1 now" in step) is (margin is not None)


def test_where_no_distance_is_known_auto_gets_a_bound_on_outputs() -> None:
    step = steps(Facts(AUTO, fixed=FIXED), lacking(None, calibrated=0.9))[-1]
    assert step.endswith("makes it go on:\naccept: {snr_db: 23}")


def test_gains_add_up_as_shares_of_the_noise() -> None:
    half = Named("a", 3.0103, "nodes", "")
    assert together([half]) == pytest.approx(3.0)
    assert together([Named(name, 1.2494, "nodes", "") for name in "ab"]) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (Facts(QUANTIZE, has_int16=False), "`quantize: {weights_range: mse}` or `{rounding: adaround}`"),
        (Facts({"samples": 3}), "quantize without `record:`"),
        (Facts({"sensitivity": {"nodes": []}}), "none of them alone"),
    ],
)
def test_where_there_is_nothing_to_name(facts: Facts, said: str) -> None:
    assert said in steps(facts)[-1]
