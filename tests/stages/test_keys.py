"""What makes a stage run again, beside its inputs and settings: libraries, templates, its own version."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path

import pytest

from modelbuild.build.action import Action
from modelbuild.build.key import fields, key_of
from modelbuild.manifest import libraries
from modelbuild.manifest.plan import plan
from modelbuild.project.project import open_project
from modelbuild.resources import folder
from tests.stages.built import Built

# library -> the stages whose results it has a hand in; written out here, so that none is lost from a stage
USED_BY = {
    "jinja2": {"report"},
    "numpy": {
        "import_source",
        "normalise",
        "check_samples",
        "check_calibration",
        "check_result",
        "lower",
        "check",
        "evaluate",
        "observe",
        "quantize",
        "apply",
        "verify_fixed",
        "compile",
        "package",
        "verify_hardware",
    },
    "onnxruntime": {"import_source", "normalise", "check_calibration", "lower", "observe", "verify_fixed"},
    "pillow": {"check_samples", "check_calibration", "observe", "verify_fixed", "verify_hardware"},
    "pydantic": {"report"},
}
USED_BY["onnx"] = USED_BY["numpy"]


def keys(built: Built) -> dict[str, str]:
    """Action -> key, with the inputs as they are."""
    return {action.name: key_of(fields(action, {})) for action in plan(built.project.manifest).actions}


def stage_of(action: str) -> str:
    return action.rsplit(":", 1)[1]


@pytest.mark.parametrize("library", sorted(USED_BY))
def test_another_version_of_a_library(built: Built, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    before = keys(built)
    installed = {**libraries._installed(), library: "999.0"}
    monkeypatch.setattr(libraries, "_installed", lambda: installed)
    after = keys(built)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if stage_of(name) in USED_BY[library]}


def test_every_library_that_a_stage_names_is_known_here(built: Built) -> None:
    named = {library for action in built.project.plan.actions for library in action.libraries}
    assert named == set(USED_BY)
    for action in built.project.plan.actions:
        assert all(action.libraries[name] == libraries.version(name) for name in action.libraries)


def test_another_version_of_a_stage(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(built)
    stage = import_module("modelbuild.stages.compile")
    monkeypatch.setattr(stage, "VERSION", f"{stage.VERSION}.1")
    after = keys(built)
    assert {stage_of(name) for name in before if before[name] != after[name]} == {"compile"}


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the templates, in the place of the real ones."""
    copy = tmp_path / "templates"
    shutil.copytree(folder("templates"), copy)
    monkeypatch.setattr(
        "modelbuild.resources.folder", lambda name: copy if name == "templates" else folder(name)
    )
    return copy


def report_parameters(built: Built) -> dict[str, Action]:
    return {action.name: action for action in plan(built.project.manifest).actions}


def test_an_edited_template_changes_the_reports_alone(built: Built, templates: Path) -> None:
    before = report_parameters(built)
    every = sorted(templates.rglob("*.j2"))
    assert every
    for path in every:
        text = path.read_text(encoding="utf-8")
        path.write_text(text + "<!-- edited -->", encoding="utf-8")
        after = report_parameters(built)
        path.write_text(text, encoding="utf-8")
        changed = {stage_of(name) for name in before if before[name] != after[name]}
        assert changed == {"report"}, path.name
    assert report_parameters(built) == before
    (templates / "report/added.html.j2").write_text("new", encoding="utf-8")
    assert report_parameters(built)["all-nef:report"] != before["all-nef:report"]


def test_after_a_template_was_edited_nothing_but_reports_runs(
    built: Built, tmp_path: Path, templates: Path
) -> None:
    shutil.copytree(built.project.root, tmp_path / "copy", symlinks=True)
    (templates / "report").joinpath("added.html.j2").write_text("new", encoding="utf-8")
    project = open_project(tmp_path / "copy")
    goals = [action.name for action in project.plan.actions]
    states = project.builder.build(project.plan.actions, goals, jobs=1).states
    ran = {name for name, state in states.items() if state != "cached"}
    assert ran == {"all-nef:report", "all-mpk:report", "all-old:report"}


def test_a_build_again_runs_nothing(built: Built, tmp_path: Path) -> None:
    shutil.copytree(built.project.root, tmp_path / "copy", symlinks=True)
    project = open_project(tmp_path / "copy")
    goals = [action.name for action in project.plan.actions]
    states = project.builder.build(project.plan.actions, goals, jobs=1).states
    assert set(states.values()) == {"cached"}
