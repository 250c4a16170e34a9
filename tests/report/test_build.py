"""What the report says, from what the stages left."""

from __future__ import annotations

import json

import pytest

from modelbuild.report.build import MODEL_ROLES, MODEL_STEPS, ModelInputs, collect
from tests.report.stage_files import ACCEPT, Maker


def test_a_good_build_passes_with_its_figures(maker: Maker) -> None:
    report = maker.collect()
    (model,) = report.models
    assert report.passed and not report.failures and not model.failures
    assert [(check.check, check.passed) for check in report.checks] == [
        ("cpu_nodes", True),
        ("snr_db of boxes", True),
        ("snr_db of scores", True),
        ("top1_drop", True),
        ("hardware equals fixed", True),
    ]
    assert report.package.files[0].path == "models_720.sim.nef" and report.package.format == "nef"
    assert not report.package.silicon
    assert model.memory is not None and model.memory["sram_peak"] == 498_000
    assert model.fidelity is not None and model.fidelity.accuracy is not None
    assert model.fidelity.accuracy.of_float == {"top1": 0.9875, "top5": 1.0}
    assert [step.name for step in model.passes] == [
        "fold_constants",
        "merge_reshapes",
        "fold_batch_normalization",
    ]
    assert set(model.differences) == {"normalise", "lower"}
    assert {node.unit for node in model.nodes} == {"npu", "cpu"}


def test_layers_carry_utilisation_and_snr(maker: Maker) -> None:
    (model,) = maker.collect().models
    assert model.performance is not None
    first, third = model.performance.layers[0], model.performance.layers[2]
    assert first.utilisation == pytest.approx(first.macs / first.cycles / 1024)  # that of evaluate.json
    assert first.snr_db == 52.0 and third.snr_db == pytest.approx(50.2)
    assert third.utilisation is None  # an addition multiplies nothing
    assert model.performance.utilisation == 0.5 and "upper bound" in model.performance.packing


def test_inputs_carry_preprocessing_in_full_and_its_range(maker: Maker) -> None:
    (model,) = maker.collect().models
    (port,) = model.inputs
    assert port.preprocess is not None and port.preprocess["filter"] == "bilinear"
    assert port.ranges == ((-127 / 128, 1.0), (-1.0, 127 / 128), (-129 / 128, 126 / 128))
    assert port.scale == 0.0078125 and port.zero_point == 0


@pytest.mark.parametrize("role", MODEL_ROLES)
def test_any_stage_may_be_missing(maker: Maker, role: str) -> None:
    maker.fail(role, f"{role} broke")
    report = maker.collect()
    assert not report.passed
    (failure,) = report.models[0].failures
    assert (failure.stage, failure.title) == (role, MODEL_ROLES[role])
    assert failure.problems[0].what == f"{role} broke"
    json.dumps(report.to_json(), allow_nan=False)


def test_everything_may_be_missing(maker: Maker) -> None:
    for role in MODEL_ROLES:
        maker.fail(role, "not built", "skipped", why="face_detect:import_source failed")
    maker.fail("source", "the file is a Git LFS pointer", advice="run `git lfs pull`")
    maker.fail("package", "not built", "skipped")
    report = maker.collect()
    (model,) = report.models
    assert not report.passed
    assert model.failures[0].title == MODEL_STEPS["source"]
    assert [failure.state for failure in model.failures] == ["failed"] + ["skipped"] * len(MODEL_ROLES)
    assert [failure.stage for failure in report.failures] == ["package"]
    assert {check.check: check.measured for check in report.checks} == {
        "cpu_nodes": None,
        "snr_db of boxes": None,
        "snr_db of scores": None,
        "top1_drop": None,
        "hardware equals fixed": None,
    }
    assert not any(check.passed for check in report.checks)


def test_a_bound_that_does_not_hold_fails_the_report(maker: Maker) -> None:
    maker.accept = {**ACCEPT, "cpu_nodes": 0}
    report = maker.collect()
    assert not report.passed
    assert [check.check for check in report.checks if not check.passed] == ["cpu_nodes"]
    assert [failed.stage for failed in report.models[0].failures] == ["gate"]


def test_hardware_that_differs_fails_the_report(maker: Maker) -> None:
    maker.stages["hardware"]["equal"] = False
    maker.accept = {}
    report = maker.collect()
    assert [(check.check, check.measured, check.passed) for check in report.checks] == [
        ("hardware equals fixed", False, False)
    ]
    assert not report.passed


def test_a_fixed_point_source_has_no_float_stages(maker: Maker) -> None:
    files = {role: path for role, path in maker.files().items() if role in ("compile", "hardware")}
    report = collect({"name": "p", "target": "t", "chip": "c"}, [ModelInputs("m", files)], {})
    assert report.passed
    assert report.models[0].performance is None and report.models[0].findings is None


def test_json_form_has_the_words_of_the_stage_files(maker: Maker) -> None:
    data = maker.collect().to_json()
    accuracy = data["models"][0]["fidelity"]["accuracy"]
    assert set(accuracy) == {"labelled", "float", "fixed", "drop"}
    assert data["report"] == 1 and data["package"]["silicon"] is False
    assert data["models"][0]["performance"]["layers"][0]["bound"] == "compute"
