"""A build is remembered, or it says why it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild import api
from modelbuild.build.result import Event
from modelbuild.cli.main import main
from modelbuild.project.build_report import BuildReport
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import open_project
from modelbuild.project.settled import unchanged
from tests.project.small_project import write_manifest, write_model, write_samples

MANIFEST = """
samples: {some: {files: data/*/numbers/*.npy}}
models: {a: {source: a.onnx, calibration: some}}
targets: {cam: {chip: kl720}}
packages: {pa: {target: cam, models: {a: {id: 32768}}}}
"""
OPTIONS = BuildOptions(jobs=1, until="import_source")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "a.onnx")
    write_samples(tmp_path / "data/x/numbers")
    write_manifest(tmp_path, MANIFEST)
    return tmp_path


def settle(folder: Path) -> BuildReport:
    """Builds until that is remembered: not before its files lay there a moment when they were read."""
    for _ in range(100):
        report = api.build(open_project(folder), (), OPTIONS)
        assert report.ok
        if is_known(folder):
            return report
    raise AssertionError(f"it is never remembered: {report.unremembered}")


def is_known(folder: Path) -> bool:
    return unchanged(folder, "models.yaml", (), (), OPTIONS) is not None


def test_a_build_that_has_published_nothing_yet(folder: Path) -> None:
    assert settle(folder).unremembered == "" and not (folder / ".modelbuild/published.json").exists()
    assert api.build(open_project(folder), (), BuildOptions(jobs=1)).ok
    assert not is_known(folder), "now there are products, and somebody they belong to"


def test_a_folder_without_what_a_pattern_names_further_on(folder: Path) -> None:
    (folder / "data/y").mkdir()
    settle(folder)
    write_samples(folder / "data/y/numbers", 1)
    assert not is_known(folder)


def test_what_changes_while_it_is_built_is_named(folder: Path) -> None:
    path = folder / "models.yaml"
    before = path.read_bytes()

    def edit(event: Event) -> None:
        if event.kind == "finished":
            path.write_bytes(b"# edited in mid-build\n" + before)

    found = api.build(open_project(folder), (), OPTIONS, edit)
    assert found.ok and not is_known(folder)
    why = "models.yaml changed since the project was loaded, or its time is ahead of the clock"
    assert found.unremembered == why


def test_the_command_says_so_in_one_line(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "parts is gone"
    monkeypatch.setattr("modelbuild.project.building.remember", lambda *_: f"{why}\nand more")
    words = ["-C", str(folder), "build", "--until", "import_source"]
    assert main([*words, "-v"]) == 0
    said = f"the next build will look at everything again: {why}"
    assert [line for line in capfd.readouterr().err.splitlines() if why in line] == [said]
    assert main(words) == 0
    assert why not in capfd.readouterr().err
