"""`--events`, `--trace` and `--profile` of real builds: of those that pass, fail, and are interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, edit
from tests.cli.on_terminal import command as words_of
from tests.e2e.command import REPOSITORY, modelbuild


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def spans(path: Path) -> dict[str, dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8"))
    return {event["name"]: event for event in found["traceEvents"] if event["ph"] == "X"}


FILES = ("--events", "e.jsonl", "--trace", "t.json")


def test_a_build_that_passes(copied: Path, command: Command) -> None:
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 4}")
    said = command(copied, "build", "--json", "--profile", *FILES, "-j", "2")
    assert said.code == 0
    profiled = said.json["profile"]
    ran = {item["action"] for item in profiled["actions"]}
    assert "all-nef:gate" in ran and len(ran) == said.json["actions"]["run"]
    told = events(copied / "e.jsonl")
    assert told[0]["event"] == "build_started" and told[0]["schema"] == 1
    assert told[0]["options"]["jobs"] == 2
    last = told[-1]
    assert (last["event"], last["ok"], last["exit_code"]) == ("build_finished", True, 0)
    assert last["actions"]["run"] == len(ran)
    assert {item["action"] for item in told if item.get("state") == "run"} == ran
    assert [item["seconds"] for item in told] == sorted(item["seconds"] for item in told)
    gate = next(item for item in told if item.get("action") == "all-nef:gate" and item.get("state"))
    assert gate["peak_bytes"] > 1 << 20 and len(gate["key"]) == 64 and gate["worker"] in {0, 1}
    drawn = spans(copied / "t.json")
    assert {"load", "judge", "run", "publish"} <= drawn.keys() and ran <= drawn.keys()
    assert drawn["load"]["ts"] < drawn["judge"]["ts"] <= drawn["run"]["ts"] <= drawn["publish"]["ts"]
    assert profiled["critical_seconds"] <= profiled["seconds"]


def test_a_build_that_fails(copied: Path, command: Command) -> None:
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 199}")
    said = command(copied, "build", "--keep-going", "--profile", *FILES)
    assert said.code == 1 and "slowest actions" in said.out
    failed = next(item for item in events(copied / "e.jsonl") if item.get("state") == "failed")
    assert failed["error"]["problems"][0]["what"] and failed["error"]["exit_code"] == 1
    assert events(copied / "e.jsonl")[-1]["ok"] is False
    assert spans(copied / "t.json")["all-nef:gate"]["args"]["state"] == "failed"


def test_a_build_that_never_begins(copied: Path, command: Command) -> None:
    edit(copied, "modelbuild: 1", "modelbuild: 1\nnonsense: 2")
    assert command(copied, "build", "--profile", *FILES).code == 2
    _, last = events(copied / "e.jsonl")
    assert (last["event"], last["exit_code"]) == ("build_finished", 2) and "nonsense" in last["error"]
    assert set(spans(copied / "t.json")) == {"load"}


def test_nothing_to_do_is_recorded_too(copied: Path, command: Command) -> None:
    assert command(copied, "build").code == 0
    said = command(copied, "build", "--profile", *FILES)
    assert "profile: nothing ran" in said.out and "nothing to do" in said.out
    last = events(copied / "e.jsonl")[-1]
    assert last["ok"] and set(last["actions"]) == {"cached"}
    assert set(spans(copied / "t.json")) == {"load", "judge", "publish"}


def test_standard_output_has_the_events_alone(copied: Path, command: Command) -> None:
    said = modelbuild(copied, "build", "--events", "-")
    told = [json.loads(line) for line in said.out.splitlines()]
    assert told[0]["event"] == "build_started" and told[-1]["event"] == "build_finished"
    assert "nothing to do" in said.err
    both = command(copied, "build", "--events", "-", "--json")
    assert both.code == 2 and "both want standard output" in both.err and both.json["ok"] is False


@pytest.mark.parametrize("option", ["--events", "--trace"])
def test_a_file_that_cannot_be_written_stops_before_any_work(
    copied: Path, command: Command, option: str
) -> None:
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 4}")
    said = command(copied, "build", option, "absent/file")
    assert said.code == 2 and f"{option} cannot be written" in said.err and said.out == ""
    assert command(copied, "status", "--json").json["ok"] is False


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux")  # noqa: PTH110
def test_a_full_disk_is_a_failure_though_the_build_passed(copied: Path, command: Command) -> None:
    said = command(copied, "build", "--events", "/dev/full", "--json")
    assert said.code == 1 and said.json["ok"] is False
    assert "the events are not complete" in said.json["failures"][0]["message"]
    assert [package["gate"] for package in said.json["packages"]] == ["passed"] * 3


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_build_that_is_interrupted(copied: Path, how: signal.Signals) -> None:
    """At the first action that starts. What was written is whole; a trace is there unless it was killed."""
    (copied / "small.onnx").write_bytes((copied / "small.onnx").read_bytes() + b"\n")
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 4}")
    pipe = copied / "pipe"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        words_of(copied, "build", "--events", "pipe", "--trace", "t.json", "--profile"),
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    told = []
    with pipe.open(encoding="utf-8") as stream:
        for line in stream:
            told.append(json.loads(line))
            if told[-1]["event"] == "action_started" and process.poll() is None:
                process.send_signal(how)
                how_sent = told[-1]["action"]
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    if how is signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL and not (copied / "t.json").exists()
        return
    assert process.returncode == 130 and "interrupted" in said and "slowest actions" in said
    last = told[-1]
    assert (last["event"], last["exit_code"], last["error"]) == ("build_finished", 130, "interrupted")
    assert last["actions"]["interrupted"] == 1
    assert spans(copied / "t.json")[how_sent]["args"]["state"] == "interrupted"
