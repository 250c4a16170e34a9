"""Globs, lists and folders of samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.samples.files import gather_files


def touch(base: Path, *names: str) -> None:
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(b"")


def names(files: tuple[Path, ...], base: Path) -> list[str]:
    return [path.relative_to(base).as_posix() for path in files]


def test_order_is_that_of_bytes_and_of_no_locale(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "B.png", "a.png", "_.png", "ä.png", "10.png", "9.png", "a/z.png", "a-/z.png")
    expected = ["10.png", "9.png", "B.png", "_.png", "a-/z.png", "a.png", "a/z.png", "b.png", "ä.png"]
    assert names(gather_files("**/*.png", tmp_path), tmp_path) == expected
    assert names(gather_files(list(reversed(expected)), tmp_path), tmp_path) == expected


def test_lists_mix_globs_and_paths(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.png", "x/2.png", "y.npy", "odd[1].png")
    assert names(gather_files(["y.npy", "x/*.png"], tmp_path), tmp_path) == ["x/1.png", "x/2.png", "y.npy"]
    assert names(gather_files("odd[1].png", tmp_path), tmp_path) == ["odd[1].png"]
    assert names(gather_files("x/../x/1.png", tmp_path), tmp_path) == ["x/1.png"]
    assert gather_files(tmp_path / "y.npy", Path("elsewhere")) == (tmp_path / "y.npy",)


def test_a_folder_gives_the_samples_in_it(tmp_path: Path) -> None:
    touch(tmp_path, "s/2.JPG", "s/1.png", "s/3.npz", "s/labels.txt", "s/deeper/4.png")
    assert names(gather_files("s", tmp_path), tmp_path) == ["s/1.png", "s/2.JPG", "s/3.npz"]


def test_globs_skip_folders_and_hidden_files(tmp_path: Path) -> None:
    touch(tmp_path, "s/1.png", "s/.hidden.png", "s/folder.png/2.png")
    assert names(gather_files("s/*", tmp_path), tmp_path) == ["s/1.png"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("*.bmp", "no sample file matches"),
        ("missing/*.png", "no sample file matches"),
        ("missing.png", "no sample file matches"),
        ("empty", "the folder holds no picture"),
        ([], "the list of sample files is empty"),
        (["a.png", "*.png"], "a.png is named twice"),
    ],
)
def test_what_matches_nothing_or_twice_is_an_error(
    tmp_path: Path, pattern: str | list[str], message: str
) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelbuildError) as caught:
        gather_files(pattern, tmp_path)
    assert message in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("*.bmp", "*.bmp: the manifest's folder has none"),
        ("empty/*.png", "empty/*.png: looked in empty"),
        ("missing/deeper/*.png", "missing/deeper/*.png: there is no missing"),
        ("empty/missing.png", "empty/missing.png: there is no empty/missing.png"),
        ("a.png/b.png", "a.png/b.png: a.png is no folder"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, pattern: str, why: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "a.png")
    with pytest.raises(ModelbuildError, match="no sample file matches") as caught:
        gather_files(pattern, tmp_path)
    problem = caught.value.problems[0]
    assert f"{problem.where}: {problem.why}" == why


def test_hidden_files_are_found_by_name_only(tmp_path: Path) -> None:
    touch(tmp_path, "s/1.png", "s/._1.png", "s/.hidden/2.png")
    for pattern in ("s", "s/*.png", "**/*.png"):
        assert names(gather_files(pattern, tmp_path), tmp_path) == ["s/1.png"]
    assert names(gather_files("s/._1.png", tmp_path), tmp_path) == ["s/._1.png"]
    assert names(gather_files("s/.*.png", tmp_path), tmp_path) == ["s/._1.png"]


@pytest.mark.parametrize("pattern", ["s", "s/*", "s/*.png", "**/*.png", "s/2.png"])
def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "s/1.png", "there.png")
    (tmp_path / "s/2.png").symlink_to("../there.png")
    assert tmp_path / "s/2.png" in gather_files(pattern, tmp_path)
    (tmp_path / "there.png").unlink()
    with pytest.raises(ModelbuildError) as caught:
        gather_files(pattern, tmp_path)
    assert caught.value.exit_code == 2
    assert "the sample 2.png is a link that leads nowhere" in str(caught.value)
    assert "it points to ../there.png" in str(caught.value)


def test_a_link_that_is_no_sample_may_lead_nowhere(tmp_path: Path) -> None:
    touch(tmp_path, "s/1.png")
    (tmp_path / "s/notes.txt").symlink_to("gone")
    assert names(gather_files("s", tmp_path), tmp_path) == ["s/1.png"]
    assert names(gather_files("s/*.png", tmp_path), tmp_path) == ["s/1.png"]


def test_linked_folders_are_gone_down_once(tmp_path: Path) -> None:
    touch(tmp_path, "s/1.png", "s/deeper/2.png", "elsewhere/3.png")
    (tmp_path / "s/round").symlink_to(".")
    (tmp_path / "s/deeper/up").symlink_to("..")
    (tmp_path / "s/other").symlink_to("../elsewhere")
    found = names(gather_files("s/**/*.png", tmp_path), tmp_path)
    assert found == ["s/1.png", "s/deeper/2.png", "s/other/3.png"]
