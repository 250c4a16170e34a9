"""Selectors."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.manifest.select import ModelGoal, PackageGoal, select

TEXT = """\
modelbuild: 1
samples: {faces: {files: faces/*.png}}
defaults: {calibration: faces}
models: {one: {source: net.onnx}, two: {source: net.onnx}, lone: {source: net.onnx}}
targets: {cam: {chip: kl720}, eye: {chip: modalix}}
packages:
  bell: {target: cam, models: {one: {id: 40000}}}
  toys: {targets: [cam, eye], models: {one: {id: 40000}, two: {id: 40001}}}
  two: {target: eye, models: [two]}
"""


@pytest.mark.parametrize(
    ("selectors", "goals"),
    [
        ([], [PackageGoal("bell"), PackageGoal("toys-cam"), PackageGoal("toys-eye"), PackageGoal("two")]),
        (["bell"], [PackageGoal("bell")]),
        (["toys"], [PackageGoal("toys-cam"), PackageGoal("toys-eye")]),
        (["toys-eye", "toys"], [PackageGoal("toys-eye"), PackageGoal("toys-cam")]),
        (["one"], [ModelGoal("one", "cam"), ModelGoal("one", "eye")]),
        (["lone"], [ModelGoal("lone", "cam"), ModelGoal("lone", "eye")]),
        (["two"], [PackageGoal("two")]),
        (["two@cam"], [ModelGoal("two", "cam")]),
        (["lone@eye", "lone@eye"], [ModelGoal("lone", "eye")]),
    ],
)
def test_selecting(project: Any, selectors: list[str], goals: list[object]) -> None:
    assert list(select(project.load(TEXT), selectors)) == goals


def test_every_unknown_name_is_told_with_the_nearest(project: Any) -> None:
    with pytest.raises(ModelbuildError) as caught:
        select(project.load(TEXT), ["bel", "onne@cam", "one@can", "bell"])
    assert [(problem.what, problem.advice.partition("?")[0]) for problem in caught.value.problems] == [
        ("no package and no model is called `bel`", "did you mean `bell`"),
        ("`onne@cam`: no model is called `onne`", "did you mean `one`"),
        ("`one@can`: no target is called `can`", "did you mean `cam`"),
    ]
    assert caught.value.exit_code == 2
