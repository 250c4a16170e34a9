"""Paths in messages are relative to where the user is."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.build import disk
from modelbuild.errors import Problem
from modelbuild.project.nearby import nearby, told


def test_only_paths_in_the_current_folder_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert nearby(f"{tmp_path}/models/a.onnx: wrong") == "models/a.onnx: wrong"
    assert nearby(f"looked for {tmp_path}/a.onnx and {tmp_path}/.b") == "looked for a.onnx and .b"
    for other in (f"{tmp_path}2/a.onnx", f"/else{tmp_path}/a.onnx", f"in {tmp_path}", "models/a.onnx", ""):
        assert nearby(other) == other
    problem = Problem("what", f"{tmp_path}/m.yaml:1:2", f"looked in {tmp_path}/data", "do", "MB001")
    assert told(problem) == Problem("what", "m.yaml:1:2", "looked in data", "do", "MB001")


def test_where_the_current_folder_is_gone_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert nearby(f"{gone}/models.yaml") == f"{gone}/models.yaml"
    error = disk.failure("read", Path("models.yaml"), OSError(2, "No such file or directory"))
    assert error.problems[0].why == "No such file or directory"


def test_at_the_root_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert nearby("/etc/models.yaml") == "/etc/models.yaml"
