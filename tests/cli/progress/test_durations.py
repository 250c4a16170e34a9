"""Durations of earlier builds: kept beside the state, and no harm whatever becomes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.build.result import Event
from modelbuild.cli.progress.durations import NAME, Timer, load


def timed(state: Path, *runs: tuple[str, float, str]) -> Timer:
    timer = Timer(state)
    for action, seconds, state in runs:
        timer(Event("started", action, seconds=1.0))
        timer(Event("finished", action, state, seconds=1.0 + seconds))  # type: ignore[arg-type]
    return timer


def test_what_ran_is_added_to_what_is_known(tmp_path: Path) -> None:
    timed(tmp_path, ("a", 2.0, "run"), ("b", 3.0, "run")).save(None)
    timed(tmp_path, ("b", 8.0, "run"), ("c", 9.0, "failed")).save(None)
    assert load(tmp_path) == {"a": 2.0, "b": 8.0}


@pytest.mark.parametrize(("seconds", "kept"), [(0.4, 0.1), (0.7, 0.7), (12.0, 12.0)])
def test_a_time_that_is_about_the_same_is_not_written_again(
    tmp_path: Path, seconds: float, kept: float
) -> None:
    timed(tmp_path, ("a", 0.1, "run")).save(None)
    timed(tmp_path, ("a", seconds, "run")).save(None)
    assert load(tmp_path) == {"a": kept}


def test_what_is_planned_no_more_is_forgotten(tmp_path: Path) -> None:
    timed(tmp_path, ("a", 2.0, "run"), ("b", 3.0, "run")).save(lambda: {"b"})
    assert load(tmp_path) == {"b": 3.0}


def test_nothing_is_written_where_nothing_ran(tmp_path: Path) -> None:
    Timer(tmp_path).save(None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema": 2, "seconds": {"a": 1}}', '{"schema": 1, "seconds": [1]}']
)
def test_a_damaged_file_is_no_history(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert load(tmp_path) == {}
    timed(tmp_path, ("a", 2.0, "run")).save(None)
    assert load(tmp_path) == {"a": 2.0}


def test_values_that_are_no_durations_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(
        '{"schema": 1, "seconds": {"a": 1, "b": "x", "c": -1, "d": 1e300, "e": NaN}}'
    )
    assert load(tmp_path) == {"a": 1.0}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    timed(tmp_path / "file", ("a", 2.0, "run")).save(None)
    timed(tmp_path / "absent", ("a", 2.0, "run")).save(None)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
