"""`--trace`: Chrome's trace format, each worker a lane."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelbuild.cli.recording.ledger import Run
from modelbuild.cli.recording.trace import Phase, trace, try_file, write
from modelbuild.errors import ModelbuildError

RUNS = [
    Run("b@x:lower", 1.5, 1, 4.0, "interrupted"),
    Run("a@x:lower", 1.0, 0, 3.0000004, "run", 99, "k"),
]


def test_lanes_and_spans() -> None:
    found = trace(RUNS, [Phase("load", 0.0, 0.25)], {"run": 1, "interrupted": 1})
    names = [(event["tid"], event["args"]["name"]) for event in found["traceEvents"] if event["ph"] == "M"]
    assert names == [(0, "build"), (1, "worker 0"), (2, "worker 1")]
    load, first, second = [event for event in found["traceEvents"] if event["ph"] == "X"]
    assert (load["name"], load["cat"], load["tid"], load["ts"], load["dur"]) == (
        "load",
        "phase",
        0,
        0,
        250_000,
    )
    assert (first["name"], first["cat"], first["tid"]) == ("a@x:lower", "lower", 1)
    assert (first["ts"], first["dur"]) == (1_000_000, 2_000_000)
    assert first["args"] == {"state": "run", "peak_bytes": 99, "key": "k"}
    assert (second["tid"], second["args"]["state"]) == (2, "interrupted")
    assert all(type(event["ts"]) is int and event["dur"] >= 0 for event in (load, first, second))
    assert found["otherData"]["actions"] == {"run": 1, "interrupted": 1}


def test_the_whole_file_or_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text("before")
    try_file(path)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    write(path, {"traceEvents": []})
    assert json.loads(path.read_text()) == {"traceEvents": []} and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["", "absent/trace.json", "file/trace.json"])
def test_a_file_that_cannot_be_written_is_told_before_any_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelbuildError, match="--trace cannot be written") as raised:
        try_file(tmp_path / name)
    assert raised.value.exit_code == 2
    with pytest.raises(ModelbuildError) as later:
        write(tmp_path / name, {})
    assert later.value.exit_code == 1 and sorted(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux")  # noqa: PTH110
def test_what_is_no_file_is_written_to_and_not_replaced() -> None:
    try_file(Path("/dev/null"))
    write(Path("/dev/null"), {})
    assert not Path("/dev/null").is_file()
    with pytest.raises(ModelbuildError, match="the trace could not be written"):
        write(Path("/dev/full"), {"traceEvents": []})
