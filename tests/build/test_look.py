"""One digest of what a path looks like: equal only where everything that the code stands for is equal."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelbuild.build import look

CODES = "".join([look.FILE, look.HEAD, look.FOLDER, look.INSTALLED, look.KIND, look.OWN_FOLDER])


def exchange(path: Path) -> None:
    path.rename(path.with_name("spare"))
    path.symlink_to("spare")


# what is done -> the codes that tell of it for the file, and for the folder
EDITS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "nothing": (lambda root: None, "", ""),
    "first byte": (lambda root: (root / "file").write_bytes(b"y" + b"x" * 99), "fh", ""),
    "last byte": (lambda root: (root / "file").write_bytes(b"x" * 99 + b"y"), "f", ""),
    "file gone": (lambda root: (root / "file").unlink(), "fhk", ""),
    "file is a folder": (lambda root: ((root / "file").unlink(), (root / "file").mkdir()), "fhk", ""),
    "file is a fifo": (lambda root: ((root / "file").unlink(), os.mkfifo(root / "file")), "fhk", ""),
    "file is a link": (lambda root: exchange(root / "file"), "", ""),
    "new name": (lambda root: (root / "folder/new").touch(), "", "do"),
    "new library": (lambda root: (root / "folder/any-1.dist-info").mkdir(), "", "dio"),
    "Python's own": (lambda root: (root / "folder/__pycache__").mkdir(), "", ""),
    "deep": (lambda root: (root / "folder/in/new").touch(), "", ""),
    "link in folder": (lambda root: exchange(root / "folder/in"), "", "do"),
    "folder gone": (lambda root: (root / "folder").rename(root / "gone"), "", "diko"),
    "folder is a link": (lambda root: exchange(root / "folder"), "", "o"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_each_code_tells_of_what_it_stands_for(tmp_path: Path, edit: str) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    (tmp_path / "folder/in").mkdir(parents=True)
    change, of_file, of_folder = EDITS[edit]
    paths = {"file": "fhk", "folder": "diko"}
    before = {name: [look.digest(code, str(tmp_path / name)) for code in paths[name]] for name in paths}
    change(tmp_path)
    for name, expected in (("file", of_file), ("folder", of_folder)):
        now = [look.digest(code, str(tmp_path / name)) for code in paths[name]]
        told = [code for code, one, other in zip(paths[name], before[name], now, strict=True) if one != other]
        assert "".join(told) == expected, name


@pytest.mark.parametrize("code", CODES.replace(look.KIND, ""))
def test_what_is_not_there_is_like_nothing_that_was_ever_seen(tmp_path: Path, code: str) -> None:
    assert look.digest(code, str(tmp_path / "none")) == "0" * 64


def test_the_links_of_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "b").symlink_to("nowhere")
    (tmp_path / "a").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    assert look.links(str(tmp_path)) == [str(tmp_path / "a"), str(tmp_path / "b")]
