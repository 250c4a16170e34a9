"""Predicted speed: of a selection in its order, and of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.project.predicting import evaluate, evaluate_file
from modelbuild.project.project import Project, open_project
from tests.graph.small import graph
from tests.project.small_project import write_manifest, write_model, write_samples
from tests.project.test_forms import TEXT


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for seed, name in enumerate("ab"):
        write_model(tmp_path / f"{name}.onnx", seed)
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, TEXT.split("packages:")[0])
    return open_project(tmp_path)


def test_the_selection_in_its_order(project: Project) -> None:
    found = evaluate(project, ["b@eye", "a"], None)
    named = [(item["model"], item["chip"]) for item in found]
    assert named == [("b", "modalix"), ("a", "kl720"), ("a", "modalix")]
    result = project.builder.status(project.plan.actions, ["a@cam:observe"])
    assert result["a@cam:observe"].state == "out of date"  # predicting reads no sample


def test_of_a_file_as_of_the_project(project: Project) -> None:
    (in_project,) = evaluate(project, ["a@cam"], None)
    alone = evaluate_file(project.root / "a.onnx", "kl720", {}, None)
    for key in ("macs", "cycles", "time_ms", "fps", "model", "chip"):
        assert alone[key] == in_project[key]
    slow = evaluate_file(project.root / "a.onnx", "kl720", {}, Options(clock_hz=1e6))
    assert slow["time_ms"] > alone["time_ms"]


def test_of_weights_that_are_all_alike_the_same_in_a_project_as_of_a_file(project: Project) -> None:
    pads = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
    steps = [("Conv", "x w", "a", pads), ("Conv", "x v", "b", pads), ("Add", "a b", "y")]
    alike = {name: np.full((2, 2, 3, 3), 0.5, np.float32) for name in ("w", "v")}
    onnx_io.export(graph(steps, alike, x=(1, 2, 4, 4)), project.root / "a.onnx")
    (in_project,) = evaluate(project, ["a@cam"], None)
    alone = evaluate_file(project.root / "a.onnx", "kl720", {}, None)
    assert alone["macs"] == in_project["macs"] == 2 * 16 * 36
    assert alone["cycles"] == in_project["cycles"]


def test_the_first_failure_is_raised(project: Project) -> None:
    (project.root / "a.onnx").write_bytes(b"broken")
    with pytest.raises(ModelbuildError, match="not an ONNX file") as caught:
        evaluate(project, [], None)
    assert caught.value.exit_code == 2
