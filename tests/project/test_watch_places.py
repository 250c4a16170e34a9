"""Which folders are listened to: those in which a change of what is read can be seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelbuild.project.watch_places import Places


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def listened(root: Path, *files: str, patterns: tuple[str, ...] = ()) -> set[str]:
    paths = frozenset(str(root / name) for name in files)
    found = Places(str(root), paths, frozenset(patterns)).folders()
    return {os.path.relpath(path, root) for path in found}


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def link(path: Path, target: str | Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def test_files_and_what_is_not_there(root: Path) -> None:
    write(root / "models/a.onnx")
    assert listened(root, "models/a.onnx", "gone/deep/b.onnx") == {".", "models"}
    assert listened(root, "../beside/a.onnx") == {".", ".."}


def test_the_folders_that_links_of_files_lead_to(root: Path) -> None:
    write(root / "../data/deep/a.onnx")
    link(root / "../middle/a.onnx", "../data/deep/a.onnx")
    link(root / "models/a.onnx", root.parent / "middle/a.onnx")
    assert listened(root, "models/a.onnx") == {".", "models", "../middle", "../data/deep"}
    (root / "../data/deep/a.onnx").unlink()
    assert listened(root, "models/a.onnx") == {".", "models", "../middle", "../data/deep"}


def test_the_folders_that_links_on_the_way_lie_in(root: Path) -> None:
    write(root / "../data/v1/a.onnx")
    link(root / "../data/current", "v1")
    link(root / "models", "../data/current")
    assert listened(root, "models/a.onnx") >= {".", "models", "../data", "../data/v1"}


def test_linked_folders_below_a_pattern(root: Path) -> None:
    write(root / "../data/deep/1.png")
    write(root / "../annex/2.png")
    link(root / "samples/far", "../../data")
    link(root / "samples/2.png", "../../annex/2.png")
    found = listened(root, patterns=("samples/**/*.png",))
    assert found >= {".", "samples", "samples/far", "samples/far/deep", "../data/deep", "../annex"}


def test_links_that_lead_round(root: Path) -> None:
    link(root / "a", "b")
    link(root / "b", "a")
    assert listened(root, "a", "a/c") == {"."}


def test_never_what_builds_write(root: Path) -> None:
    for folder in ("dist/x", "reports/x", ".modelbuild/x", "other/dist"):
        write(root / folder / "1.png")
    assert listened(root, "dist/x/1.png", patterns=("**/*.png",)) == {".", "other", "other/dist"}
