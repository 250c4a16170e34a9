"""Globs: the same as Python's, but that no tree of links makes them go on for ever."""

from __future__ import annotations

import glob
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild import globs
from tests.hypotheses import examples

NAMES = st.sampled_from(["a", "b", "ab", ".h", "x.png", "y.png", ".z.png", "[x]", "ä.png", "a\u0308.png"])
FILES = st.lists(st.lists(NAMES, min_size=1, max_size=4).map("/".join), max_size=12)
PARTS = st.sampled_from(["**", "*", "?", "*.png", "a*", ".*", "[ax]*", "a", "x.png", "[[]x]", "..", "ä.png"])
PATTERNS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So deep that no `..` of a pattern leaves it: what else lies in the temporary folder has no end."""
    return tmp_path_factory.mktemp("tree") / "above/above/above/above/root"


@examples(150)
@given(files=FILES, pattern=PATTERNS)
def test_the_same_as_pythons_where_no_link_is(root: Path, files: list[str], pattern: str) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for name in files:
        path = root / name
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")

    def of_files(found: list[str]) -> list[str]:
        # Python finds a file `a` by `a/**`, as `a/`
        return sorted({name for name in found if (root / name).is_file() and not name.endswith("/")})

    expected = of_files(glob.glob(pattern, root_dir=root, recursive=True))  # noqa: PTH207
    if ".." in pattern.split("/"):  # one file by several ways: Python names all of them, `**` here the first
        files_of = {(root / name).resolve() for name in expected}
        assert {(root / name).resolve() for name in of_files(globs.matches(pattern, str(root)))} == files_of
    else:
        assert of_files(globs.matches(pattern, str(root))) == expected
    assert set(of_files(globs.matches(f"{root}/{pattern}", "/elsewhere"))) == {
        f"{root}/{name}" for name in of_files(globs.matches(pattern, str(root)))
    }


def test_links_that_lead_round_each_other(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abcdef"]
    for folder in folders:
        folder.mkdir()
        (folder / "1.png").write_bytes(b"")
        for other in folders:
            (folder / f"to_{other.name}").symlink_to(other)
    assert sorted(globs.matches("**/*.png", str(tmp_path))) == [f"{name}/1.png" for name in "abcdef"]


def test_a_linked_folder_elsewhere_is_gone_down(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/deep/1.png").write_bytes(b"")
    (tmp_path / "root/link").symlink_to("../elsewhere")
    assert globs.matches("**/*.png", str(tmp_path / "root")) == ["link/deep/1.png"]
    assert globs.matches("*/*/1.png", str(tmp_path / "root")) == ["link/deep/1.png"]
    assert globs.matches("link/**", str(tmp_path / "root")) == ["link/deep", "link/deep/1.png"]


@pytest.mark.parametrize("pattern", ["gone/*.png", "file/*", "file/**/*.png", "*/*/*/*/x", ""])
def test_what_is_not_there_matches_nothing(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert [name for name in globs.matches(pattern, str(tmp_path)) if name] == []


@examples(100)
@given(files=FILES, pattern=PATTERNS, more=st.lists(NAMES, min_size=1, max_size=4).map("/".join))
def test_the_folders_are_all_that_decides(root: Path, files: list[str], pattern: str, more: str) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()

    def add(name: str) -> None:
        path = root / name
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")

    def listed() -> dict[str, list[str]]:
        found = globs.folders(pattern, str(root))
        return {folder: sorted(path.name for path in Path(folder).iterdir()) for folder in found}

    for name in files:
        add(name)
    before = globs.matches(pattern, str(root)), listed()
    if before[0]:  # what has never matched is an error where it is used
        add(more)
        assert globs.matches(pattern, str(root)) == before[0] or listed() != before[1]


def test_folders_that_are_looked_into(tmp_path: Path) -> None:
    for folder in ("data/x/images", "data/y", "data/.h/images", "other/deep"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/z").write_bytes(b"")
    (tmp_path / "data/x/link").symlink_to("../../other")

    def found(pattern: str) -> set[str]:
        return {os.path.relpath(path, tmp_path) for path in globs.folders(pattern, str(tmp_path))}

    assert found("data/*/images/*.png") == {"data", "data/x", "data/y", "data/x/images"}
    deep = {"data", "data/x", "data/y", "data/x/images", "data/x/link", "data/x/link/deep"}
    assert found("data/**/*.png") == deep and found("data/**") == deep
    assert found("data/x/a.png") == found("gone/*.png") == set()
    assert found("*.png") == {"."}
    assert globs.folders("*.png", str(tmp_path)) == [str(tmp_path)]


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("/*.png", "/"),
        ("*.png", "."),
        ("a/*/b", "a"),
        ("a/b", "a/b"),
        ("./a/../c/**", "c"),
        ("../d/*", "../d"),
    ],
)
def test_the_folder_that_all_matches_lie_below(pattern: str, folder: str) -> None:
    assert globs.fixed_folder(pattern) == folder
