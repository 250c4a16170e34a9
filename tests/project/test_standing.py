"""What lies in `dist/` and `reports/`, beside what was built."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelbuild import api
from modelbuild.project.project import Project
from modelbuild.project.standing import standings
from tests.stages.golden import write_project


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    write_project(folder)
    assert api.build(api.open_project(folder), (), api.BuildOptions(jobs=1)).ok
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Project:
    return api.open_project(shutil.copytree(built, tmp_path / "copy", symlinks=True))


def told(project: Project, *names: str) -> dict[str, list[str]]:
    return {one.package: [str(found) for found in one.differences] for one in standings(project, names)}


def test_nothing_differs_after_a_build(project: Project) -> None:
    assert told(project) == {"all-nef": [], "all-old": [], "all-mpk": []}


def test_every_kind_of_difference(project: Project) -> None:
    dist = project.root / "dist/all-nef"
    (dist / "small.json").unlink()
    (dist / "small.fixed.onnx").write_bytes(b"x")
    (dist / "notes").mkdir()
    (dist / "notes/mine.txt").write_text("mine")
    shutil.rmtree(project.root / "dist/all-old")
    (project.root / "reports/all-mpk/report.html").write_text("altered")
    found = told(project)
    assert found["all-nef"] == [
        "dist/all-nef/notes/mine.txt does not belong there",
        "dist/all-nef/small.fixed.onnx was altered",
        "dist/all-nef/small.json is missing",
    ]
    assert len(found["all-old"]) > 2 and all(text.endswith("is missing") for text in found["all-old"])
    assert found["all-mpk"] == ["reports/all-mpk/report.html was altered"]
    assert told(project, "all-mpk") == {"all-mpk": ["reports/all-mpk/report.html was altered"]}


def test_a_package_that_is_out_of_date_is_not_judged(project: Project) -> None:
    (project.root / "small.onnx").write_bytes(b"other")
    shutil.rmtree(project.root / "dist")
    assert told(project) == {}


def test_nothing_is_written(project: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.root.rglob("*")}
    found = told(project)
    assert found and {path: path.stat().st_mtime_ns for path in project.root.rglob("*")} == before
