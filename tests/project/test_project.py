"""A failed action's error says where in the manifest to look."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.project.project import Project, located, open_project
from tests.project.small_project import write_manifest, write_model, write_samples

TEXT = """\
samples: {some: {files: "data/*.npy"}}
models:
  a:
    source: a.onnx
    calibration: some
    inputs:
      image: {preprocess: {mean: 1}}
    accept: {snr_db: 3}
targets: {cam: {chip: kl720, compile: {sram_bytes: 4096}}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_model(tmp_path / "a.onnx")
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, TEXT)
    return open_project(tmp_path)


@pytest.mark.parametrize(
    ("action", "where", "place"),
    [
        ("a:normalise", "inputs.image", "models.yaml:8:7"),
        ("a@cam:observe", "inputs.image", "models.yaml:8:7"),
        ("a@cam:verify_fixed", "accept.snr_db", "models.yaml:9:22"),
        ("a@cam:compile", "compile.sram_bytes", "models.yaml:10:52"),
        ("a@cam:lower", "node stem", "node stem"),
        ("other:normalise", "inputs.image", "inputs.image"),
    ],
)
def test_a_key_of_the_model_becomes_a_place(project: Project, action: str, where: str, place: str) -> None:
    given = ModelbuildError.of(
        [Problem("wrong", where, "why", "do", "MB7"), Problem("also", "elsewhere")], exit_code=1
    )
    found = located(project, action, given)
    assert found.exit_code == 1
    first, second = found.problems
    assert (first.what, first.why, first.advice, first.code) == ("wrong", "why", "do", "MB7")
    assert second == Problem("also", "elsewhere")
    assert first.where == place


def test_settings_of_the_command_line_are_for_this_run(project: Project) -> None:
    changed = open_project(project.root, overrides=["quantize.range.method=minmax"])
    request = changed.plan.models["a", "cam"]
    assert request.settings["quantize"]["range"]["method"] == "minmax"
    assert project.plan.models["a", "cam"].settings["quantize"]["range"]["method"] == "output_error"


def test_a_manifest_of_another_name(project: Project) -> None:
    (project.root / "models.yaml").rename(project.root / "other.yaml")
    assert open_project(project.root, "other.yaml").root == project.root
    with pytest.raises(ModelbuildError, match=r"models\.yaml") as caught:
        open_project(project.root)
    assert caught.value.exit_code == 2
