"""The vendors' names of options of quantization: docs/knobs.md against the code, and what each comes to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from modelbuild.manifest.settings import effective
from modelbuild.manifest.vendors import BY_NAME, KNOBS, Names
from modelbuild.manifest.vendors.knob import Knob
from tests.manifest.knob_manifests import text, values

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "knobs.md").read_text(encoding="utf-8")
CHIPS = {"Kneron": "kl530", "nncase": "modalix", "SiMa": "modalix"}
# What a knob has a meaning beside.
BESIDE: dict[str, dict[str, Any]] = {
    "percentile": {"datapath_range_method": "mmse"},
    "outlier_factor": {"datapath_range_method": "mmse"},
    "flops_ratio": {"datapath_bitwidth_mode": "mixbw"},
    "accuracy_score": {"target_accuracy": 0.7},
    "target_accuracy": {"accuracy_score": "cosine"},
    "max_optimization_steps": {"use_mix_quant": True},
    "quant_scheme_strict_mode": {"quant_scheme": "QuantScheme.json"},
}


def cell(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"


def missing(knob: Knob) -> str:
    if knob.missing and not knob.examples:
        return "all"
    return ", ".join(cell(value) for value in knob.missing)


def test_the_page_and_the_code_have_the_same_knobs_defaults_and_gaps() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    found = {
        vendor: [
            tuple(part.strip() for part in line.strip("|").split("|")[:4])
            for line in section.splitlines()
            if line.startswith("| `")
        ]
        for vendor, section in sections.items()
    }
    ours = re.compile(r"[a-z]\S*\Z")
    assert found == {
        vendor: [
            (
                f"`{knob.name}`",
                cell(knob.default),
                ", ".join(
                    f"`{key}`" if ours.match(key) else key for key in filter(None, knob.ours.split(", "))
                ),
                missing(knob),
            )
            for knob in knobs
        ]
        for vendor, knobs in KNOBS.items()
    }


def test_every_name_has_a_knob_and_every_knob_a_name() -> None:
    own = {"threads", "mode", "flops_ratio"}  # that are our keys, too
    assert Names.model_fields.keys() | own == BY_NAME.keys()
    assert len(BY_NAME) == sum(len(knobs) for knobs in KNOBS.values())


def on_targets(project: Any, vendor: str, values: list[tuple[Knob, Any]]) -> str:
    """A manifest with a target for each knob and value."""
    project.write("QuantScheme.json", "not read by the manifest")
    said = [json.dumps({knob.name: value, **BESIDE.get(knob.name, {})}) for knob, value in values]
    lines = [f"  t{row}: {{chip: {CHIPS[vendor]}, quantize: {one}}}" for row, one in enumerate(said)]
    return text({}, CHIPS[vendor], "\n".join(lines))


@pytest.mark.parametrize("vendor", KNOBS)
def test_what_is_built_is_taken(project: Any, vendor: str) -> None:
    built = [(knob, value) for knob in KNOBS[vendor] for value in knob.examples]
    manifest = project.load(on_targets(project, vendor, built))
    assert len(manifest.examined) == len(built) + 1


@pytest.mark.parametrize("vendor", KNOBS)
def test_what_is_not_built_is_named_with_its_place(project: Any, vendor: str) -> None:
    missing = [(knob, value) for knob in KNOBS[vendor] for value in knob.missing]
    found = project.errors(on_targets(project, vendor, missing))
    assert [at.split(":")[1] for at, _ in found] == [str(10 + row) for row in range(len(missing))]
    for (_, what), (knob, _) in zip(found, missing, strict=True):
        assert f"`{knob.name}" in what and "is not built yet" in what


@pytest.mark.parametrize(
    ("chip", "theirs", "ours"),
    [
        ("kl530", {"datapath_bitwidth_mode": "int16"}, {"activations": "int16"}),
        ("kl530", {"weight_bitwidth_mode": "int4"}, {"weights": "int4"}),
        ("kl530", {"datapath_bitwidth_mode": "int8", "weight_bitwidth_mode": "int8"}, {}),
        (
            "kl720",
            {"datapath_bitwidth_mode": "mix light", "weight_bitwidth_mode": "mix light"},
            {"activations": "mixed", "weights": "mixed", "mode": "mix_light"},
        ),
        (
            "kl720",
            {"datapath_bitwidth_mode": "mixbw", "weight_bitwidth_mode": "int16", "flops_ratio": 0.2},
            {"mode": "mixbw", "weights": "int16"},
        ),
        ("kl720", {"model_in_bitwidth_mode": "int16"}, {"inputs": {"*": "int16"}}),
        ("kl720", {"model_out_bitwidth_mode": "int8"}, {}),
        ("kl720", {"datapath_range_method": "mmse"}, {"range": {"method": "mse"}}),
        (
            "kl720",
            {"datapath_range_method": "mmse", "percentile": 0.01, "outlier_factor": 2.0},
            {"range": {"method": "mse", "max_clipped": 0.01, "outlier_factor": 2}},
        ),
        (
            "kl720",
            {"datapath_range_method": "percentage", "percentage": 0.999},
            {"range": {"method": "percentile", "percentile": 99.9}},
        ),
        ("kl720", {"percentage": 1.0}, {"range": {"method": "percentile", "percentile": 100}}),
        (
            "kl720",
            {"datapath_range_method": "percentage", "percentage": 1.0, "model_out_bitwidth_mode": "int16"},
            {"range": {"method": "percentile", "percentile": 100}, "outputs": "int16"},
        ),
        (
            "kl720",
            {"percentage": 0.999, "datapath_bitwidth_mode": "int16"},
            {
                "range": {"method": "percentile", "percentile": 99.9, "percentile_16bit": 99.9999},
                "activations": "int16",
            },
        ),
        ("kl720", {"quantize_mode": "post_sigmoid"}, {"output_function": "sigmoid"}),
        ("kl720", {"quantize_mode": "default"}, {}),
        (
            "kl720",
            {"quan_config": {"a.b": {"bitwidth": {"all": 15}}}},
            {"nodes": {"a.b": {"activations": "int16"}}},
        ),
        ("modalix", {"calibrate_method": "Kld"}, {"range": {"method": "entropy"}}),
        ("modalix", {"quant_type": "int16", "w_quant_type": "int8"}, {"activations": "int16"}),
        ("modalix", {"finetune_weights_method": "UseAdaRound"}, {"rounding": "adaround"}),
        ("modalix", {"use_mix_quant": True}, {"mode": "auto"}),
        ("modalix", {"export_quant_scheme": True}, {"export_scheme": "by_tensor"}),
        (
            "modalix",
            {"export_quant_scheme": True, "export_weight_range_by_channel": True},
            {"export_scheme": "by_channel"},
        ),
        (
            "modalix",
            {"calibration_method": "mse", "num_bins": 2048},
            {"range": {"method": "mse", "bins": 2048}},
        ),
        ("modalix", {"num_bins": 4096}, {}),
        ("modalix", {"smooth_quant": True, "channel_equalization": False}, {"equalize": "smooth"}),
        ("modalix", {"smooth_quant": False, "channel_equalization": False}, {"equalize": False}),
        (
            "modalix",
            {"custom_quantization_configs": {"a/b.c": {"quantization_precision": "A_INT16_W_INT8"}}},
            {"nodes": {"a/b.c": {"activations": "int16", "weights": "int8"}}},
        ),
        ("modalix", {"use_mse_quant_w": True}, {"weights_range": "mse"}),
        ("modalix", {"use_mse_quant_w": False}, {}),
        (
            "modalix",
            {"use_mix_quant": True, "max_optimization_steps": 4},
            {"mode": "auto", "max_measurements": 4},
        ),
        ("modalix", {"biascorr_type": "iterative"}, {"bias_correction": "sequential"}),
        ("modalix", {"channel_equalization": True}, {"equalize": True}),
        ("kl720", {"optimize": 1}, {"bias_correction": "parallel"}),
        ("kl720", {"optimize": 0}, {"bias_correction": "none"}),
        ("k210", {"quant_type": "uint8", "w_quant_type": "uint8"}, {}),
        ("k210", {"output_type": "uint8"}, {"outputs": {"*": "uint8"}}),
        ("k210", {"output_type": "float32", "inputs": "float32", "cpu_nodes": "float32"}, {}),
        ("k210", {"inputs": {"input": "uint8"}}, {"inputs": {"input": "uint8"}}),
        ("modalix", {"calibration_method": "min_max"}, {"range": {"method": "minmax"}}),
        (
            "modalix",
            {"activation_quantization_scheme": {"asymmetric": False, "bits": 16}},
            {"activations": "int16", "symmetric": True},
        ),
        ("modalix", {"weight_quantization_scheme": {"per_channel": False}}, {"per_channel": False}),
        (
            "modalix",
            {"weight_quantization_scheme": {"asymmetric": False, "per_channel": True, "bits": 8}},
            {},
        ),
    ],
)
def test_both_spellings_are_one_setting(project: Any, chip: str, theirs: Any, ours: Any) -> None:
    assert values(project, theirs, chip) == values(project, ours, chip)


def test_a_target_accuracy_is_a_bound_that_the_bits_are_chosen_for(project: Any) -> None:
    written = text({"target_accuracy": 0.7}, "modalix").replace(
        "faces/*.png}", "faces/*.png, labels: folders}"
    )
    found = effective(project.load(written), "net", "cam").values
    assert found["quantize"]["mode"] == "auto"
    assert found["accept"] == {"snr_db": 20, "top1": 0.7}
    found = values(project, {"target_accuracy": 25, "accuracy_score": "snr_db_mean"}, "modalix")
    assert found["accept"] == {"snr_db": 20, "snr_db_mean": 25}
    project.write("tools/f.py", "def iou(outputs, labels):\n    return 1.0\n")
    found = values(project, {"target_accuracy": 0.5, "accuracy_score": "tools/f.py:iou"}, "modalix")
    assert found["accept"]["function"] == {"tools/f.py:iou": {"at_least": 0.5}}


def test_a_target_accuracy_is_never_left_to_other_bounds(project: Any) -> None:
    written = text({"target_accuracy": 0.7}, "modalix")  # and snr_db: 20, which samples could tell
    labelled = written.replace("street/*.png}", "street/*.png, labels: folders}")
    labelled = labelled.replace("accept:", "evaluation: street, accept:")
    assert project.errors(labelled) == [("models.yaml:9:35", "`mode: auto` cannot measure `top1` of `net`")]


def test_a_goal_that_calibration_samples_cannot_tell(project: Any) -> None:
    written = text({"use_mix_quant": True}, "modalix").replace("snr_db: 20", "top1: 0.5")
    labelled = written.replace("street/*.png}", "street/*.png, labels: folders}")
    labelled = labelled.replace("accept:", "evaluation: street, accept:")
    assert project.errors(labelled) == [("models.yaml:9:33", "`mode: auto` cannot measure `top1` of `net`")]
    dropped = labelled.replace("top1: 0.5", "top1: 0.5, top1_drop: 0.01")
    assert project.load(dropped)  # the float model's own classes tell that


def test_a_target_counts_the_samples_of_its_models_sets(project: Any) -> None:
    written = text({"samples_count": 2}, "modalix").replace("calibration: faces, ", "")
    written = written.replace("source: net.onnx", "source: net.onnx, calibration: {set: street}")
    found = effective(project.load(written), "net", "cam").values
    assert found["calibration"] == {"count": 2, "set": "street"}
    lacking = written.replace(", calibration: {set: street}", "")
    assert ("models.yaml:9:33", "`calibration` has a count and no set") in project.errors(lacking)


def test_some_knobs_are_settings_outside_of_quantize(project: Any) -> None:
    assert values(project, {"mode": 1}, "kl720")["verify"]["hardware"] == "none"
    assert values(project, {"mode": 3}, "kl720")["verify"]["hardware"] == "all"
    assert values(project, {"samples_count": 2}, "modalix")["calibration"] == {"count": 2, "set": "faces"}


def test_config_tells_where_a_knob_was_written_and_the_nearest_wins(project: Any) -> None:
    written = text({"datapath_range_method": "percentage", "percentage": 0.999}, "kl720")
    written = written.replace("net.onnx}", "net.onnx, quantize: {percentage: 1.0}}")
    settings = effective(project.load(written), "net", "cam")
    assert settings.values["quantize"]["range"] == {"method": "percentile", "percentile": 100.0}
    assert settings.origin(("quantize", "range", "percentile")) == "models.yaml:5:50"
