"""`status`: what is up to date, in words and as data; it runs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.project.settled import unchanged
from tests.cli.conftest import Command, edit
from tests.e2e.command import files_below


def test_what_is_up_to_date_is_counted_only(small: Path, command: Command) -> None:
    said = command(small, "status")
    assert said.code == 0 and len(said.lines) == 1
    count, _, rest = said.lines[0].partition(" ")
    assert int(count) > 20 and rest == "up to date"


def test_with_v_every_action_has_a_line(small: Path, command: Command) -> None:
    lines = command(small, "status", "-v").lines
    assert "small@nef:quantize: up to date" in lines
    assert "all-mpk/small:verify_hardware: up to date" in lines
    assert lines[-1] == f"{len(lines) - 1} up to date"
    of_one = command(small, "status", "-v", "small@nef").lines
    assert "small@nef:compile: up to date" in of_one
    assert not any("mpk" in line or "gate" in line for line in of_one)


def test_the_snapshot_of_a_build_says_what_a_look_at_everything_says(
    copied: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(100):  # not before its files lay there a moment when they were read
        assert command(copied, "build").code == 0
        if unchanged(copied, "models.yaml") is not None:
            break
    for words in ((), ("-v",), ("--json",), ("all-nef", "--json")):
        if words == ("all-nef", "--json"):
            assert command(copied, "build", "all-nef").code == 0
        with monkeypatch.context() as patched:
            patched.setattr("modelbuild.project.settled.unchanged", lambda *_, **__: None)
            looked = command(copied, "status", *words).out
        with monkeypatch.context() as patched:
            patched.setattr("modelbuild.api.open_project", None)  # it is not asked for
            assert command(copied, "status", *words).out == looked
    (copied / "dist/all-mpk").rename(copied / "elsewhere")
    assert " is missing; the next build puts it back" in command(copied, "status").out


def test_what_is_out_of_date_and_what_waits_for_it(copied: Path, command: Command) -> None:
    edit(copied, "nef: {chip: kl720}", "nef: {chip: kl720, quantize: {range: {method: minmax}}}")
    before = files_below(copied)
    said = command(copied, "status")
    assert said.code == 0
    assert said.lines[0] == "small@nef:quantize: out of date"
    assert "small@nef:apply: unknown (waits for small@nef:quantize)" in said.lines
    assert not any("@old" in line or "@mpk" in line for line in said.lines)
    assert said.lines[-1].startswith("1 out of date, ") and " unknown, " in said.lines[-1]
    data = command(copied, "status", "--json").json
    assert data["ok"] is False
    states = {action["name"]: (action["state"], action["waits_for"]) for action in data["actions"]}
    assert states["small@nef:quantize"] == ("out of date", "")
    assert states["small@nef:compile"][0] == "unknown"
    assert states["small@nef:observe"] == ("up to date", "")
    assert files_below(copied) == before


def test_what_failed_says_so(copied: Path, command: Command) -> None:
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 199}")
    assert command(copied, "build", "-q").code == 1
    assert "all-nef:gate: failed" in command(copied, "status").lines


def test_what_failed_over_files_that_a_source_names_is_asked_again(copied: Path, command: Command) -> None:
    (copied / "small.onnx").write_bytes(b"broken")
    assert command(copied, "build", "-q").code == 2
    assert "small:import_source: out of date" in command(copied, "status").lines


def test_what_a_build_with_other_settings_left_was_altered_by_nobody(copied: Path, command: Command) -> None:
    said = command(copied, "build", "all-nef", "--set", "quantize.range.method=minmax")
    note = "note: dist/ has all-nef as built with --set quantize.range.method=minmax, which the manifest does"
    assert said.code == 0 and note in said.err
    again = command(copied, "build", "all-nef", "--set", "quantize.range.method=minmax")
    assert note in again.err
    lines = command(copied, "status").lines
    assert "altered" not in " ".join(lines)
    path = "dist/all-nef/small.fixed.onnx"
    assert f"{path} is of a build with other settings or files; the next build replaces it" in lines
    (copied / path).write_bytes(b"x")
    assert f"{path} was altered; the next build puts it back" in command(copied, "status").lines
    assert "note:" not in command(copied, "build", "all-nef").err


def test_what_is_not_on_the_disk_as_it_was_built(copied: Path, command: Command) -> None:
    (copied / "dist/all-nef/small.json").unlink()
    (copied / "dist/all-nef/mine.txt").write_text("mine")
    said = command(copied, "status")
    assert said.lines[:2] == [
        "dist/all-nef/mine.txt does not belong there; the next build removes it",
        "dist/all-nef/small.json is missing; the next build puts it back",
    ]
    data = command(copied, "status", "--json").json
    assert data["ok"] is False and {action["state"] for action in data["actions"]} == {"up to date"}
    assert {package["name"]: package["ok"] for package in data["packages"]} == {
        "all-nef": False,
        "all-old": True,
        "all-mpk": True,
    }
    dry = command(copied, "build", "--dry-run")
    assert dry.lines[0].startswith("would put all-nef back: dist/all-nef/mine.txt does not belong there")
    assert len(command(copied, "build", "--dry-run", "--json").json["differences"]) == 2
    assert command(copied, "build").code == 0
    assert command(copied, "status", "--json").json["ok"] is True
