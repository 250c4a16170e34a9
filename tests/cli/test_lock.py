"""`modelbuild lock`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.fixture
def locked(small: Path, tmp_path: Path, command: Command) -> Path:
    folder = Path(shutil.copytree(small, tmp_path / "locked"))
    assert command(folder, "lock", "-q").code == 0
    return folder


def test_lock_lists_what_it_wrote_and_then_nothing(copied: Path, command: Command) -> None:
    said = command(copied, "lock")
    assert said.code == 0 and said.lines[-1] == "wrote modelbuild.lock" and len(said.lines) == 7
    again = command(copied, "lock")
    assert (again.code, again.lines) == (0, ["modelbuild.lock is up to date"])
    assert command(copied, "lock", "--json").json == {
        "ok": True,
        "lock": "modelbuild.lock",
        "written": [],
        "removed": [],
        "failures": [],
    }


def test_check_exits_with_1_and_names_the_item(locked: Path, command: Command) -> None:
    assert command(locked, "lock", "--check").lines == ["modelbuild.lock is up to date"]
    with (locked / "small.onnx").open("ab") as stream:
        stream.write(b"\n")
    said = command(locked, "lock", "--check")
    assert said.code == 1
    assert said.lines[0].endswith(": the file small.onnx is not what modelbuild.lock says")
    found = command(locked, "lock", "--check", "--json")
    assert (found.code, found.json["ok"]) == (1, False)
    (first, *others) = found.json["differences"]
    assert set(first) == {"item", "locked", "found", "where", "advice"} and len(others) == 2
    assert first["item"] == "the file small.onnx" and first["locked"] != first["found"]


def test_what_does_not_build_is_not_locked(copied: Path, command: Command) -> None:
    text = (copied / "models.yaml").read_text("utf-8").replace("snr_db: 5", "snr_db: 190")
    (copied / "models.yaml").write_text(text, "utf-8")
    said = command(copied, "lock", "--json")
    assert said.code == 1 and said.json["ok"] is False and said.json["written"] == []
    assert "gate: snr_db" in said.json["failures"][0]["message"] and "gate: snr_db" in said.err
    assert not (copied / "modelbuild.lock").exists()


def test_no_lock_no_manifest_and_no_jobs(copied: Path, command: Command, tmp_path: Path) -> None:
    said = command(copied, "lock", "--check", "--json")
    assert said.code == 2 and "there is no modelbuild.lock" in json.dumps(said.json["failures"])
    (tmp_path / "empty").mkdir()
    assert command(tmp_path / "empty", "lock", "--json").json["ok"] is False
    assert command(copied, "lock", "-j", "0").code == 2
    assert command(copied, "lock", "nothing").code == 2


def test_a_locked_build_from_the_command_line(locked: Path, command: Command) -> None:
    shutil.rmtree(locked / "data")
    shutil.rmtree(locked / "dist")
    assert command(locked, "build").code == 2
    said = command(locked, "build", "--locked", "--json")
    assert said.code == 0 and said.json["ok"] is True and len(said.json["packages"]) == 3
    assert command(locked, "build", "--locked", "--json").json["actions"]["run"] == 0
    (locked / "modelbuild.locked/small@nef/quant.txt").write_text("")
    stale = command(locked, "build", "--locked")
    assert stale.code == 2 and "modelbuild.locked/small@nef/quant.txt" in stale.err
    assert command(locked, "build", "--locked", "all-mpk").code == 0


def test_jobs_that_build_nothing_are_refused_as_by_build(tmp_path: Path, command: Command) -> None:
    for verb in ("build", "lock", "sweep net@cam --try quantize.range.method=minmax"):
        said = command(tmp_path, *verb.split(), "-j", "0")
        assert said.code == 2 and "-j 0 cannot build anything" in said.err
