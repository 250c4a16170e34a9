"""Errors of edits say where in the manifest the edit stands, and of which model."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.project.building import build
from modelbuild.project.checking import check
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import open_project
from tests.project.small_project import write_manifest, write_model, write_samples

HEAD = """\
samples: {some: {files: "data/*.npy"}}
"""
TAIL = """\
targets: {cam: {chip: kl720}, eye: {chip: modalix}}
packages: {one: {target: cam, models: {face: {id: 32768}}}, two: {target: eye, models: [face]}}
"""
OF_MODEL = """\
models:
  face:
    source: face.onnx
    calibration: some
    edit:
      - cut: {outputs: [scores]}
      - rename: {scores: s}
      - cut: {outputs: [gone]}
"""
OF_DEFAULTS = """\
defaults:
  calibration: some
  edit:
  - cut: {outputs: [gone]}
models: {face: {source: face.onnx}}
"""
OF_TARGET = """\
models:
  face:
    source: face.onnx
    calibration: some
    targets: {eye: {edit: [{normalize: {scale: 2}}, {normalize: {scale: [1, 2]}}]}}
"""


@pytest.mark.parametrize(
    ("models", "place", "kind", "overrides"),
    [
        (OF_MODEL, "models.yaml:10:9", "edit 3 (`cut`)", ()),
        (OF_DEFAULTS, "models.yaml:6:5", "edit 1 (`cut`)", ()),
        (OF_TARGET, "models.yaml:7:53", "edit 2 (`normalize`)", ()),
        (
            OF_DEFAULTS,
            "--set edit=[{cut: {outputs: [q]}}]",
            "edit 1 (`cut`)",
            ("edit=[{cut: {outputs: [q]}}]",),
        ),
    ],
)
def test_an_edit_that_does_not_fit_is_told_at_its_line(
    tmp_path: Path, models: str, place: str, kind: str, overrides: tuple[str, ...]
) -> None:
    write_model(tmp_path / "face.onnx")
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, HEAD + models + TAIL)
    project = open_project(tmp_path, overrides=overrides)
    errors = [f for f in check(project).findings if f["severity"] == "error"]
    assert {f["where"] for f in errors} == {place}
    assert all(f["message"].startswith(f"face: {kind}: ") for f in errors)


def test_a_tail_that_leaves_nothing_is_told_at_its_line(tmp_path: Path) -> None:
    from tests.project.test_checking import write_hopeless

    write_hopeless(tmp_path / "face.onnx")
    write_samples(tmp_path / "data")
    text = "models: {face: {source: face.onnx, calibration: some, edit: [{tail: auto}]}}\n"
    write_manifest(tmp_path, HEAD + text + TAIL)
    result = build(open_project(tmp_path), ("face@cam",), BuildOptions(jobs=1))
    error = next(error for _, error in result.failures if "nothing to run" in str(error))
    assert isinstance(error, ModelbuildError) and error.problems[0].where == "models.yaml:3:62"
