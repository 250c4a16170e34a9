"""`python -m bench.observed FILE VERB …`: the command as it is, and when each action ran, as JSON in FILE.

`--events` would do for builds that load the manifest; a build that goes on from the last one is not asked for
them, because it does not look at most of the actions. Nothing is imported here that a build does without in
which an action runs: it would count as the builder's time."""

from __future__ import annotations

import sys
from contextlib import contextmanager

from modelbuild.cli import main as entry
from modelbuild.cli import progress
from modelbuild.cli.leaving import leave

TYPE_CHECKING = False  # `typing` is not imported either
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from modelbuild.build.result import Event


def main(words: list[str]) -> int:
    """Runs the command and writes `[[first, last], …]`, seconds of the build's clock, of what ran."""
    started: dict[str, float] = {}
    spans: list[list[float]] = []
    shown: Any = progress.shown

    def note(event: Event) -> None:
        if event.kind == "started":
            started[event.action] = event.seconds
        elif event.kind == "finished" and event.action in started:
            spans.append([started.pop(event.action), event.seconds])

    @contextmanager
    def noting(*given: Any, **named: Any) -> Iterator[Callable[[Event], None]]:
        with shown(*given, **named) as tell:

            def both(event: Event) -> None:
                note(event)
                tell(event)

            yield both

    def leave_noted(code: int) -> None:
        with open(words[0], "w", encoding="utf-8") as stream:  # noqa: PTH123 - pathlib is not imported here
            stream.write(repr(spans))
        leave(code)

    progress.shown = noting
    vars(entry)["leave"] = leave_noted
    sys.argv[1:] = words[1:]
    return entry.main()  # without arguments, as the program


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
