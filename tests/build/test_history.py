"""The history survives what happens to files."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.build import history
from modelbuild.build.history import Entry, History


def opened(folder: Path) -> History:
    return History(folder / "history.jsonl", folder / "work")


def entry(name: str, key: str, previous: str | None = None) -> Entry:
    return Entry(name, key, previous, "run", "changed" if previous else "new")


def test_the_newest_entry_of_a_name_counts(tmp_path: Path) -> None:
    for one in (entry("a", "k1"), entry("b", "k2"), entry("a", "k3", "k1")):
        opened(tmp_path).add(one)
    assert opened(tmp_path).get("a") == entry("a", "k3", "k1")
    assert opened(tmp_path).get("b") == entry("b", "k2")
    assert opened(tmp_path).get("c") is None


def test_a_file_cut_at_any_length_keeps_its_whole_lines_and_takes_more(tmp_path: Path) -> None:
    opened(tmp_path).add(entry("a", "k1"))
    file = tmp_path / "history.jsonl"
    first = len(file.read_bytes())
    opened(tmp_path).add(entry("b", "k2"))
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        cut = opened(tmp_path)
        assert cut.get("a") == (entry("a", "k1") if length >= first - 1 else None)
        assert cut.get("b") == (entry("b", "k2") if length >= len(whole) - 1 else None)
        cut.add(entry("c", "k3"))
        again = opened(tmp_path)
        assert again.get("c") == entry("c", "k3")
        assert again.get("a") == cut.get("a")


def test_an_altered_line_is_passed_over(tmp_path: Path) -> None:
    for one in (entry("a", "k1"), entry("b", "k2")):
        opened(tmp_path).add(one)
    file = tmp_path / "history.jsonl"
    file.write_bytes(file.read_bytes().replace(b"k1", b"k9") + b"\xff\xfe\n")
    assert opened(tmp_path).get("a") is None
    assert opened(tmp_path).get("b") == entry("b", "k2")


def test_superseded_lines_are_dropped_once_they_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_SLACK", 2)
    grown = opened(tmp_path)
    for index in range(5):
        grown.add(entry("a", f"k{index}"))
    grown.compact()
    assert (tmp_path / "history.jsonl").read_bytes().count(b"\n") == 1
    assert opened(tmp_path).get("a") == entry("a", "k4")
