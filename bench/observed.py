"""`python -m bench.observed FILE VERB …`: the command as it is, and when each action ran, as JSON in FILE.

`--events` would do for builds that load the manifest; a build that goes on from the last one is not asked for
them, because it does not look at most of the actions."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.cli import progress
from modelbuild.cli.leaving import leave

if TYPE_CHECKING:
    from modelbuild.build.result import Event

Tell = Callable[["Event"], None]


def main(words: list[str]) -> int:
    """Runs the command and writes `[[first, last], …]`, seconds of the build's clock, of what ran."""
    started: dict[str, float] = {}
    spans: list[tuple[float, float]] = []
    shown: Any = progress.shown

    def note(event: Event) -> None:
        if event.kind == "started":
            started[event.action] = event.seconds
        elif event.kind == "finished" and event.action in started:
            spans.append((started.pop(event.action), event.seconds))

    @contextmanager
    def noting(*given: Any, **named: Any) -> Iterator[Tell]:
        with shown(*given, **named) as tell:

            def both(event: Event) -> None:
                note(event)
                tell(event)

            yield both

    progress.shown = noting
    from modelbuild.cli.main import main as command

    code = command(words[1:])
    Path(words[0]).write_text(json.dumps(spans), encoding="utf-8")
    leave(code)  # as the program does
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
