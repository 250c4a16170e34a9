"""What is seen of a build while it runs: a display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from modelbuild.build.result import Event, Observer
from modelbuild.cli import console
from modelbuild.cli.progress import durations
from modelbuild.cli.progress.failures import Failures

Names = Callable[[], Sequence[str]]


@contextmanager
def shown(
    state: Path,
    names: Names | None = None,
    failures: Failures | None = None,
    *,
    lines_only: bool = False,
) -> Iterator[Observer]:
    """An observer that tells of a build, until the context is left.

    `state` is the builder's folder, where durations of earlier runs lie. `names` are the actions that the
    build is about, asked for only when something runs. With `failures` each failure is told at once.
    `lines_only` keeps off the display where lines of another kind go to the same terminal.
    """
    timer = durations.Timer(state)
    with _display(state, names or tuple, lines_only) as tell:

        def observe(event: Event) -> None:
            timer(event)
            if tell is not None:
                try:
                    tell(event)
                except OSError as error:
                    raise console.untold(error) from None
            if event.kind == "finished" and event.state == "failed" and failures is not None:
                failures.tell(event.action, event.error)

        try:
            yield observe
        finally:
            timer.save(names)


def drawn() -> AbstractContextManager[Observer]:
    """The display on a terminal, for work that is no build and of which no durations are kept."""
    from modelbuild.cli.progress.terminal import Terminal

    return Terminal(Path(os.devnull), tuple)


def _display(state: Path, names: Names, lines_only: bool) -> AbstractContextManager[Observer | None]:
    if console.is_quiet():
        return nullcontext(None)
    if lines_only or not console.is_terminal(sys.stderr):
        from modelbuild.cli.progress.plain import Plain

        return Plain(console.progress, console.is_verbose())
    from modelbuild.cli.progress.terminal import Terminal

    return Terminal(state, names)
