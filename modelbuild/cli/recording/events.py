"""`--events FILE`: what happens, as it happens, a JSON object a line (docs/events.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from modelbuild import __version__
from modelbuild.build.result import Event
from modelbuild.cli.recording.places import refused, what_the_system_says
from modelbuild.errors import EXIT_FAILED, ModelbuildError

SCHEMA = 1


class EventWriter:
    """An observer that writes each line at once and whole, so that a killed build leaves whole lines."""

    def __init__(self, path: Path | None) -> None:
        """`path` None is standard output. Raises ModelbuildError (exit 2) if the file cannot be written."""
        self._name = "standard output" if path is None else str(path)
        self._error: OSError | None = None
        try:
            self._file = (
                os.dup(1) if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            )
        except OSError as error:
            raise refused("--events", self._name, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *found: Any) -> None:
        os.close(self._file)

    def start(self, selectors: Sequence[str], options: Mapping[str, Any]) -> None:
        """The first line: the schema's number, the version, what was asked for."""
        self._write(
            {
                "event": "build_started",
                "schema": SCHEMA,
                "modelbuild": __version__,
                "selectors": list(selectors),
                "options": dict(options),
                "seconds": 0.0,
            }
        )

    def __call__(self, event: Event) -> None:
        """The line of an event."""
        if event.kind == "waiting":
            self._write({"event": "waiting", "seconds": _time(event)})
            return
        line = {
            "event": f"action_{event.kind}",
            "action": event.action,
            "stage": event.action.rsplit(":", 1)[-1],
            "seconds": _time(event),
            "worker": event.worker,
            "done": event.done,
            "total": event.total,
        }
        self._write({**line, **EXTRAS[event.kind](event)})

    def finish(self, seconds: float, exit_code: int, counts: Mapping[str, int], error: str = "") -> None:
        """The last line, also of a build that failed or was interrupted. `error` is what ended it early."""
        self._write(
            {
                "event": "build_finished",
                "seconds": round(seconds, 6),
                "ok": exit_code == 0,
                "exit_code": exit_code,
                "actions": dict(counts),
                "error": error,
            }
        )

    def failures(self) -> list[ModelbuildError]:
        """What kept a line from being written (exit 1): the file ends before it."""
        if self._error is None:
            return []
        why = what_the_system_says(self._error)
        advice = "make room on that disk, or name another file with --events"
        what = "the events are not complete"
        return [ModelbuildError(what, where=self._name, why=why, advice=advice, exit_code=EXIT_FAILED)]

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._error is not None:
            return
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            self._error = error


def _time(event: Event) -> float:
    return round(event.seconds, 6)


def _finished(event: Event) -> dict[str, Any]:
    return {
        "state": event.state,
        "key": event.key,
        "peak_bytes": event.peak_bytes,
        "error": event.error.to_json() if event.error else None,
    }


EXTRAS = {
    "started": lambda event: {},
    "progress": lambda event: {"what": event.what, "step": event.step, "steps": event.steps},
    "finished": _finished,
}
