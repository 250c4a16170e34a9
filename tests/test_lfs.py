"""Git LFS pointers are told by how they begin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelbuild.lfs import is_pointer, pointer_error

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [(POINTER, True), (POINTER[:10], False), (b"", False), (b"\x89PNG" + POINTER, False)],
)
def test_pointers_are_told_from_files(tmp_path: Path, data: bytes, expected: bool) -> None:
    (tmp_path / "file").write_bytes(data)
    assert is_pointer(tmp_path / "file") is expected


def test_what_cannot_be_read_is_no_pointer(tmp_path: Path) -> None:
    assert not is_pointer(tmp_path / "missing") and not is_pointer(tmp_path)


def test_a_fifo_is_no_pointer_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not is_pointer(tmp_path / "pipe")


def test_the_error_says_what_to_do() -> None:
    (problem,) = pointer_error(Path("a.png")).problems
    assert problem.where == "a.png" and "git lfs pull" in problem.advice
