"""A gate on SNR that does not hold says what to do; and what it says to do does it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelbuild import api
from modelbuild.build.result import BuildResult
from modelbuild.project.project import Project
from tests.stages.golden import MANIFEST, write_project

MODEL = "small: {source: small.onnx, calibration: integers"
Opened = Callable[[str], Project]
Build = Callable[[str], tuple[Project, BuildResult]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """The small project on kl720 with more said of its model."""
    folder: Path = tmp_path_factory.mktemp("gate")
    write_project(folder)

    def opening(further: str) -> Project:
        model = f"{MODEL}, evaluation: integers, {further}}}"
        lines = [
            "modelbuild: 1",
            "samples: {integers: {files: data/*.npy, labels: data/labels.txt}}",
            f"models: {{{model}}}",
            "targets: {nef: {chip: kl720}}",
            "packages: {all: {target: nef, models: {small: {id: 32768}}}}",
        ]
        assert MODEL in MANIFEST
        (folder / "models.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return api.open_project(folder)

    return opening


@pytest.fixture(scope="module")
def build(opened: Opened) -> Build:
    """Builds it."""

    def built(further: str) -> tuple[Project, BuildResult]:
        project = opened(further)
        wanted = [action.name for action in project.plan.actions]
        return project, project.builder.build(project.plan.actions, wanted, jobs=1)

    return built


def measured(project: Project, result: BuildResult, action: str, name: str) -> Any:
    return json.loads(project.builder.output(result, action, name).read_bytes())


def test_what_a_failed_gate_says_to_do_is_in_order_and_helps(build: Build) -> None:
    project, result = build("accept: {snr_db: 60}")
    ((action, error),) = result.failures
    assert action == "all:gate" and error.exit_code == 1
    plain = measured(project, result, "small@nef:verify_fixed", "fixed.json")["outputs"][0]["snr_db"]
    (problem,) = error.problems
    assert problem.where == "models.yaml:3:100: model small" and "the bound is at least 60" in problem.what
    steps = [line.strip() for line in problem.advice.splitlines()]
    assert [step.split(" ")[1] for step in steps[1:4]] == ["more", "another", "int16"]
    assert "the ranges are from 8 samples" in steps[1]
    assert "on the calibration samples" in steps[3]
    pasted = yaml.safe_load("\n".join(problem.advice.splitlines()[4:]))["quantize"]
    gains = [float(step.split("# +")[1].split()[0]) for step in steps[4:] if "# +" in step]
    sensitivity = measured(project, result, "small@nef:quantize", "quantize.json")["sensitivity"]
    assert sorted(gains) == sorted(round(node["gain_db"], 1) for node in sensitivity["nodes"][: len(gains)])
    project, result = build(f"accept: {{snr_db: 3}}, quantize: {json.dumps(pasted)}")
    better = measured(project, result, "small@nef:verify_fixed", "fixed.json")["outputs"][0]["snr_db"]
    assert better > plain + 0.3


def test_the_report_says_of_a_failed_gate_what_to_do(build: Build) -> None:
    project, result = build("accept: {cosine: 0.9999999, top1: 1.0}")
    (error,) = [error for _, error in result.failures]
    report = measured(project, result, "all:report", "report.json")
    (failure,) = report["models"][0]["failures"]
    assert failure["stage"] == "gate" and failure["action"] == "all:gate"
    assert [one["advice"] for one in failure["problems"]] == [one.advice for one in error.problems]
    assert failure["problems"][0]["advice"].startswith("in this order:")
    html = project.builder.output(result, "all:report", "report.html").read_text(encoding="utf-8")
    assert "more calibration samples like the field" in html and "Some stages failed" not in html


def test_auto_is_built_measured_and_passes_its_gate(build: Build) -> None:
    project, result = build("accept: {snr_db: 60}, quantize: {mode: auto}")
    assert result.ok, result.failures
    found = measured(project, result, "small@nef:quantize", "quantize.json")
    assert 0 < found["sensitivity"]["macs_int16"] <= found["sensitivity"]["macs"]
    assert found["activations"] == "mixed" or found["weights"] == "mixed"
    fixed = measured(project, result, "small@nef:verify_fixed", "fixed.json")
    assert fixed["outputs"][0]["snr_db"] >= 60
    hardware = measured(project, result, "all/small:verify_hardware", "hardware.json")
    assert hardware["equal"] is True
    told = measured(project, result, "all:report", "report.json")["models"][0]
    assert "of the MACs have 16 bits: it will be slower" in told["performance"]["caveat"]
    assert told["quantization"]["auto"]["goals"][0]["bound"] == 60
    assert told["quantization"]["widths"]["macs_int16"] == found["sensitivity"]["macs_int16"]
    html = project.builder.output(result, "all:report", "report.html").read_text(encoding="utf-8")
    assert "<td>int16</td>" in html and "for 8 bits only" in html


def test_auto_that_cannot_hold_its_goal_says_so_before_anything_is_compiled(build: Build) -> None:
    _, result = build("accept: {snr_db: 150}, quantize: {mode: auto}")
    failed = dict(result.failures)
    assert "does not reach what `accept` wants" in str(failed["small@nef:quantize"])


def test_auto_measures_shares_and_functions_on_calibration_samples(opened: Opened, build: Build) -> None:
    folder = opened("accept: {snr_db: 3}").root
    text = "def worst(outputs, labels):\n    return float(min(value.max() for value in outputs.values()))\n"
    (folder / "score.py").write_text(text, encoding="utf-8")
    bounds = "top1_drop: 0.0, cosine: 0.9, function: {score.py:worst: {drop: 1000}}"
    project, result = build(f"accept: {{{bounds}}}, quantize: {{mode: auto, max_measurements: 2}}")
    assert result.ok, result.failures
    found = measured(project, result, "small@nef:quantize", "quantize.json")["auto"]
    assert [goal["check"] for goal in found["goals"]] == [
        "cosine of scores",
        "drop of score.py:worst",
        "top1_drop",
    ]
    assert 1 <= found["measurements"] <= 2
    assert found["goals"][2] == {"check": "top1_drop", "bound": 0.0, "measured": 0.0}


def test_what_auto_measures_is_in_the_key_and_nothing_else_of_accept(opened: Opened) -> None:
    def key(further: str) -> Any:
        (action,) = (one for one in opened(further).plan.actions if one.name == "small@nef:quantize")
        return action.parameters, sorted(action.inputs)

    auto = "quantize: {mode: auto}, accept: {top1_drop: 1.0"
    assert key(f"{auto}}}") != key(f"{auto}, top5: 0.0}}")
    assert key(f"{auto}}}") == key(f"{auto}, fps: 0.001}}")
    assert key("accept: {top1_drop: 1.0}") == key("accept: {top1_drop: 0.9}")
