"""`--events`: one whole JSON object a line, as things happen."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from modelbuild import __version__
from modelbuild.build.result import Event
from modelbuild.cli.recording.events import EventWriter
from modelbuild.errors import ModelbuildError


def read(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_every_kind_of_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as writer:
        writer.start(["bell"], {"jobs": 2})
        writer(Event("waiting", seconds=0.25))
        writer(Event("started", "f@c:observe", total=2, seconds=0.5, worker=1))
        writer(
            Event("progress", "f@c:observe", None, None, 0, 2, 0.75, worker=1, step=3, steps=8, what="sample")
        )
        error = ModelbuildError("it brøke", where="x:1:2", why="w", advice="a", exit_code=1)
        writer(Event("finished", "f@c:observe", "failed", error, 1, 2, 1.0, worker=1, peak_bytes=7, key="k"))
        writer(Event("finished", "g:import_source", "cached", done=2, total=2, seconds=1.0))
        writer.finish(1.5, 1, {"failed": 1, "cached": 1})
    place = {"action": "f@c:observe", "stage": "observe", "worker": 1, "total": 2}
    problem = {"what": "it brøke", "where": "x:1:2", "why": "w", "advice": "a", "code": ""}
    assert read(path) == [
        {
            "event": "build_started",
            "schema": 1,
            "modelbuild": __version__,
            "selectors": ["bell"],
            "options": {"jobs": 2},
            "seconds": 0.0,
        },
        {"event": "waiting", "seconds": 0.25},
        {**place, "event": "action_started", "seconds": 0.5, "done": 0},
        {
            **place,
            "event": "action_progress",
            "seconds": 0.75,
            "done": 0,
            "what": "sample",
            "step": 3,
            "steps": 8,
        },
        {
            **place,
            "event": "action_finished",
            "seconds": 1.0,
            "done": 1,
            "state": "failed",
            "key": "k",
            "peak_bytes": 7,
            "error": {"exit_code": 1, "problems": [problem]},
        },
        {
            "event": "action_finished",
            "action": "g:import_source",
            "stage": "import_source",
            "seconds": 1.0,
            "worker": None,
            "done": 2,
            "total": 2,
            "state": "cached",
            "key": "",
            "peak_bytes": None,
            "error": None,
        },
        {
            "event": "build_finished",
            "seconds": 1.5,
            "ok": False,
            "exit_code": 1,
            "actions": {"failed": 1, "cached": 1},
            "error": "",
        },
    ]


def test_a_line_is_there_when_the_event_has_passed(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as writer:
        for count in range(1, 4):
            writer(Event("waiting", seconds=float(count)))
            assert len(read(path)) == count


def test_names_of_any_letters(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as writer:
        writer(Event("started", "顔\n\udc80:observe"))
    assert len(path.read_bytes().splitlines()) == 1


@pytest.mark.parametrize("name", ["", "absent/events.jsonl", "file/events.jsonl"])
def test_a_file_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelbuildError, match="--events cannot be written") as raised:
        EventWriter(tmp_path / name)
    assert raised.value.exit_code == 2 and raised.value.problems[0].why and raised.value.problems[0].advice


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux")  # noqa: PTH110
def test_a_disk_that_fills_up_is_told_at_the_end() -> None:
    with EventWriter(Path("/dev/full")) as writer:
        writer(Event("waiting"))
        writer(Event("waiting"))
    (error,) = writer.failures()
    assert error.exit_code == 1 and "No space left" in error.problems[0].why
