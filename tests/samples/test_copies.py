"""Copies are found under other names, and only copies."""

from __future__ import annotations

from pathlib import Path

from modelbuild.samples.copies import HEAD, in_both


def written(folder: Path, **contents: bytes) -> list[Path]:
    folder.mkdir()
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in contents]


def test_a_copy_has_another_name_and_the_same_bytes(tmp_path: Path) -> None:
    head = b"h" * HEAD
    ours = written(tmp_path / "a", copy=head + b"1", tail=head + b"2", same_size=b"xy", alone=b"z", empty=b"")
    theirs = written(tmp_path / "b", other=head + b"1", unlike=head + b"3", size=b"xz", nothing=b"")
    assert in_both(ours, theirs) == {tmp_path / "a/copy"}


def test_one_path_is_one_sample_though_nothing_can_be_read(tmp_path: Path) -> None:
    (one,) = written(tmp_path / "a", one=b"1")
    gone = tmp_path / "gone"
    assert in_both([one, gone], [gone]) == {gone}
