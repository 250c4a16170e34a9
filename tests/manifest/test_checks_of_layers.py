"""Settings of a target that no model on it has: told with both places."""

from __future__ import annotations

from typing import Any

import pytest

from tests.manifest.conftest import GOOD

TWO = GOOD.replace(
    "calibration: faces}", "calibration: faces}\n  eye: {source: net.onnx, calibration: faces}"
).replace('{id: 32768, version: "0001"}', "{id: 32768}, eye: {id: 32769}")


def told(
    project: Any, target: str, model: str = "calibration: faces", text: str = GOOD
) -> list[tuple[str, str, str]]:
    written = text.replace("{chip: kl720}", f"{{chip: kl720, {target}}}").replace(
        "calibration: faces", model, 1
    )
    found = project.load(written).warnings
    return [
        (f"{one.file}:{one.line}:{one.column}", one.message, one.advice)
        for one in found
        if one.code == "MB010"
    ]


def test_a_count_that_the_short_form_of_a_set_replaces(project: Any) -> None:
    ((at, what, advice),) = told(project, "quantize: {num_calib_samples: 3}")
    assert at == "models.yaml:7:52"
    assert what == (
        "`num_calib_samples: 3` of the target `cam` has no effect: the model has its own, at models.yaml:5:40"
    )
    assert "write `calibration: {set: faces}` there" in advice
    assert told(project, "quantize: {num_calib_samples: 3}", "calibration: {set: faces}") == []


@pytest.mark.parametrize(
    ("target", "model", "count"),
    [
        ("quantize: {activations: int8}", "quantize: {activations: int16}", 1),
        ("quantize: {activations: int8}", "quantize: {activations: int8}", 0),
        ("quantize: {activations: int8}", "quantize: {weights: int16}", 0),
        ("quantize: {range: {method: percentile, percentile: 99}}", "quantize: {range: {method: mse}}", 1),
        ("quantize: {range: {method: percentile, percentile: 99}}", "quantize: {range: {percentile: 98}}", 1),
        ("accept: {snr_db: 20}", "accept: {snr_db: {y: 30}}", 1),
        ("accept: {snr_db: 20}", "accept: {cosine: 0.9}", 0),
        ("verify: {hardware: all}", "targets: {cam: {verify: {hardware: none}}}", 1),
    ],
)
def test_what_counts_is_whether_the_setting_says_anything(
    project: Any, target: str, model: str, count: int
) -> None:
    assert len(told(project, target, f"calibration: faces, {model}")) == count


def test_one_model_that_has_it_from_the_target_is_enough(project: Any) -> None:
    target = "quantize: {activations: int8}"
    both = TWO.replace("calibration: faces", "calibration: faces, quantize: {activations: int16}")
    ((_, what, _),) = told(project, target, text=both)
    assert "all 2 models on it have their own" in what
    assert told(project, target, "calibration: faces, quantize: {activations: int16}", TWO) == []


def test_what_holds_for_one_run_is_not_told(project: Any) -> None:
    text = GOOD.replace("{chip: kl720}", "{chip: kl720, quantize: {activations: int8}}")
    assert not project.load(text, "quantize.activations=int16").warnings
