"""Vendors' names of options that a chip cannot do, or that say nothing beside others."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from tests.manifest.conftest import GOOD
from tests.manifest.knob_manifests import text, values


@pytest.mark.parametrize(
    ("chip", "quantize", "what"),
    [
        (
            "kl520",
            {"datapath_bitwidth_mode": "int16"},
            "`datapath_bitwidth_mode: int16`: int16 activations are not",
        ),
        ("kl520", {"datapath_bitwidth_mode": "mix light"}, "`datapath_bitwidth_mode: mix light`"),
        ("kl520", {"weight_bitwidth_mode": "mixbw"}, "`weight_bitwidth_mode: mixbw`"),
        (
            "kl520",
            {"model_in_bitwidth_mode": "int16"},
            "`model_in_bitwidth_mode: int16` is not possible on kl520",
        ),
        (
            "kl720",
            {"weight_bitwidth_mode": "int4"},
            "`weight_bitwidth_mode: int4`: int4 weights are not possible",
        ),
        (
            "kl720",
            {"datapath_bitwidth_mode": "mixbw", "model_out_bitwidth_mode": "int8"},
            "`model_out_bitwidth_mode: int8` is not possible with `datapath_bitwidth_mode: mixbw`",
        ),
        (
            "kl720",
            {"datapath_bitwidth_mode": "mixbw", "weight_bitwidth_mode": "int8"},
            "`weight_bitwidth_mode: int8` is not possible with `datapath_bitwidth_mode: mixbw`",
        ),
        ("kl720", {"flops_ratio": 0.5}, "`flops_ratio: 0.5` goes with `mode: mixbw`"),
        ("k210", {"flops_ratio": 0.5}, "`flops_ratio: 0.5` has no effect on k210"),
        ("k210", {"margin_db": 2}, "`margin_db` has no effect on k210"),
        (
            "kl720",
            {"outlier_factor": 2},
            "`outlier_factor: 2.0` has no meaning for the range method output_error",
        ),
        (
            "kl720",
            {"datapath_range_method": "mmse", "percentage": 1.0},
            "`percentage: 1.0` has no meaning for the range method mse",
        ),
        (
            "kl720",
            {"percentage": 0.999, "percentage_16b": 0.99, "datapath_bitwidth_mode": "int16"},
            "`percentage_16b: 0.99` is less than `percentage: 0.999`",
        ),
        (
            "kl720",
            {"datapath_range_method": "mmse", "range": {"method": "minmax"}},
            "`datapath_range_method: mmse` contradicts `method: minmax`",
        ),
        ("kl720", {"activation_quantization_scheme": {"asymmetric": True}}, "is not possible on kl720"),
        (
            "modalix",
            {"quant_type": "int16", "w_quant_type": "int16"},
            "`w_quant_type: int16` is not possible with",
        ),
        (
            "modalix",
            {"calibration_method": "moving_average", "channel_equalization": True},
            "`channel_equalization: true` is not possible with moving averages",
        ),
        (
            "modalix",
            {"smooth_quant": True, "channel_equalization": True},
            "`smooth_quant: true` contradicts `channel_equalization: true`",
        ),
        (
            "modalix",
            {"calibration_method": "min_max", "num_bins": 2048},
            "`num_bins: 2048` has no meaning for the range method minmax",
        ),
        (
            "kl520",
            {"custom_quantization_configs": {"c1": {"quantization_precision": "A_INT16_W_INT8"}}},
            "is not possible on kl520",
        ),
        (
            "modalix",
            {"export_quant_scheme": False, "export_weight_range_by_channel": True},
            "`export_weight_range_by_channel: true` has no meaning",
        ),
        ("modalix", {"target_accuracy": 2, "accuracy_score": "cosine"}, "`target_accuracy: 2.0` has no"),
        ("modalix", {"equalize": 1}, "expected true, false or smooth"),
        ("modalix", {"equalize": "smoth"}, "expected true, false or smooth"),
        ("modalix", {"max_optimization_steps": 3}, "`max_optimization_steps: 3` goes with `mode: auto`"),
        ("modalix", {"accuracy_score": "top1"}, "`accuracy_score: top1` has no meaning"),
        ("modalix", {"target_accuracy": 70}, "`target_accuracy: 70.0` has no meaning"),
        (
            "modalix",
            {"target_accuracy": 0.7, "accuracy_score": "mae"},
            "`accuracy_score: mae` is no measure that",
        ),
        ("modalix", {"num_bins": 1000}, "`num_bins: 1000` is no number of bins that there can be"),
        (
            "kl720",
            {"quan_config": {"c1": {"bitwidth": {"all": 12}}}},
            "`quan_config`: 12 of `c1` is no bitwidth",
        ),
        (
            "kl520",
            {"target_accuracy": 30, "accuracy_score": "snr_db"},
            "`target_accuracy: 30.0` is not possible on kl520",
        ),
        ("modalix", {"activations": "bfloat16"}, "bfloat16 activations are not built yet"),
        ("mlsoc", {"activations": "bfloat16"}, "bfloat16 activations are not possible on mlsoc"),
        ("kl720", "none", "`quantize: none` is not possible on kl720"),
        ("k210", {"cpu_nodes": "uint8"}, "`cpu_nodes: uint8` is not possible on k210"),
        ("k210", {"inputs": "int8"}, "`inputs: int8` is not possible on k210"),
        ("k210", {"symmetric": True}, "`symmetric: true` is not possible on k210"),
        (
            "k210",
            {"activation_quantization_scheme": {"asymmetric": False}},
            '`activation_quantization_scheme: {"asymmetric": false}` is not possible on k210',
        ),
    ],
)
def test_what_a_chip_cannot_do_or_what_says_nothing_is_an_error(
    project: Any, chip: str, quantize: Any, what: str
) -> None:
    found = project.errors(text(quantize, chip))
    assert [(at.startswith("models.yaml:9:"), what in said) for at, said in found] == [(True, True)] * len(
        found
    )
    assert found


def test_a_share_is_held_against_one_that_goes_with_it(project: Any) -> None:
    given = {"percentage_16b": 0.99, "datapath_bitwidth_mode": "int16"}
    with pytest.raises(ModelbuildError) as caught:
        project.load(text(given, "kl720"))
    (problem,) = caught.value.problems
    assert problem.what == "`percentage_16b: 0.99` is less than the `percentile` that goes with it"
    assert problem.advice == "write at least 0.999"


def test_bits_that_are_chosen_until_an_accuracy_holds_need_one(project: Any) -> None:
    written = text({"use_mix_quant": True}, "modalix").replace(", accept: {snr_db: 20}", "")
    assert project.errors(written) == [
        ("models.yaml:9:33", "`mode: auto` needs to know which accuracy is wanted of `net`")
    ]


def test_a_mode_that_a_chip_lacks_is_said_once(project: Any) -> None:
    both = {"datapath_bitwidth_mode": "mix light", "weight_bitwidth_mode": "mix light"}
    assert project.errors(text(both, "kl520")) == [
        ("models.yaml:9:42", "`datapath_bitwidth_mode: mix light` is not possible on kl520")
    ]


def test_a_chip_that_runs_floats_takes_none(project: Any) -> None:
    usual = values(project, {}, "nncase-cpu")
    assert values(project, "none", "nncase-cpu") == usual
    of_others = {"symmetric": True, "range": {"method": "mse"}, "nodes": {"c1": {"activations": "float32"}}}
    assert values(project, of_others, "nncase-cpu") == usual


def test_advice_names_what_does_the_like(project: Any) -> None:
    def advice(knob: str) -> str:
        with pytest.raises(ModelbuildError) as caught:
            project.load(GOOD.replace("{chip: kl720}", f"{{chip: kl720, quantize: {{{knob}}}}}"))
        return caught.value.problems[0].advice

    assert advice("flops_ratio: 0.5") == "write `mode: mixbw` beside it, or remove it"
    assert advice("quant_scheme_strict_mode: true").startswith("write `scheme: FILE`")


def test_a_scheme_that_is_empty_is_none(project: Any) -> None:
    found = project.load(GOOD.replace("{chip: kl720}", '{chip: kl720, quantize: {quant_scheme: ""}}'))
    assert found.examined[("net", "cam")].scheme is None


@pytest.mark.parametrize(
    ("chip", "quantize", "advice"),
    [
        ("kl520", {"activations": "int16"}, "choose another chip: kl530, kl630, kl720"),
        ("kl520", {"mode": "mixbw"}, "choose another chip: kl530, kl630, kl720"),
        ("kl720", {"weights": "int4"}, "choose another chip: kl530"),
        ("kl720", "none", "choose another chip: "),
        ("modalix", {"range": {"method": "kld"}}, "write `entropy`, which is the same"),
        ("modalix", {"range": {"method": "entropi"}}, "did you mean `entropy`?"),
    ],
)
def test_the_way_out_is_named(project: Any, chip: str, quantize: Any, advice: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        project.load(text(quantize, chip))
    assert advice in caught.value.problems[0].advice
