"""The display on a terminal: a bar, counts, the time left, and a line for each action that runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from modelbuild.build.result import Event
from modelbuild.cli import console
from modelbuild.cli.progress import durations
from modelbuild.cli.progress.plain import WORDS
from modelbuild.cli.progress.tally import Running, Tally

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

REFRESHES = 5  # a second
_BAR = 24  # columns
_PAUSE = 1.0  # seconds for which a reckoning of the time left will do


class Terminal:
    """An observer that draws, from the first action that runs until it is left. rich is imported then."""

    def __init__(self, state: Path, names: Callable[[], Sequence[str]]) -> None:
        self._tally = Tally(lambda: durations.load(state), names)
        self._left: tuple[float, float | None] = (
            -_PAUSE,
            None,
        )  # when the time left was reckoned, and what came out
        self._origin = monotonic()
        self._live: Live | None = None
        self._console: Console | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *found: Any) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Takes note of the event; the display is drawn by a clock, not by events."""
        if event.kind == "waiting":
            console.progress("waiting for another modelbuild in this folder")
            return
        self._origin = monotonic() - event.seconds
        self._tally(event)
        if event.kind == "started" and self._live is None:
            self._open()
        if event.kind == "finished" and console.is_verbose():
            word = WORDS.get(event.state or "", event.state)
            console.detail(f"[{event.done}/{event.total}] {word} {event.action}")

    def _open(self) -> None:
        from rich.console import Console
        from rich.live import Live

        class Visible(Console):
            """The cursor stays to be seen: a build that is killed leaves none hidden."""

            def show_cursor(self, show: bool = True) -> bool:
                return False

        coloured = console.shows_colour(sys.stderr)
        self._console = Visible(
            stderr=True,
            force_terminal=True,
            color_system="standard" if coloured else None,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=REFRESHES,
            transient=True,  # what stays is the summary
            redirect_stdout=False,
            vertical_overflow="crop",
        )
        self._live.start()

    def _draw(self) -> RenderableType:
        from rich.console import Group

        assert self._console is not None
        now = monotonic() - self._origin
        rows = max(1, self._console.height - 3)
        running = sorted(self._tally.running.copy().values(), key=lambda one: one.started)
        lines = [self._line(one, now) for one in running[:rows]]
        more = [self._text((f"  and {len(running) - rows} more", "dim"))] if len(running) > rows else []
        return Group(self._head(now), *lines, *more)

    def _head(self, now: float) -> RenderableType:
        """The bar, how many of how many, the counts, the times; what does not fit is left out."""
        assert self._console is not None
        tally = self._tally
        done = f"{tally.done}/{tally.total}"
        filled = _BAR * tally.done // max(1, tally.total)
        bar = BARS[self._is_unicode][0] * filled + BARS[self._is_unicode][1] * (_BAR - filled)
        parts = [(bar, "green"), (done, "bold"), (self._counts(), ""), (self._time(now), "dim")]
        parts = [part for part in parts if part[0]]
        for least in ((bar, "green"), (self._counts(), "")):
            if sum(len(text) + 2 for text, _ in parts) - 2 > self._console.width and least in parts:
                parts.remove(least)
        return self._text(*(piece for part in parts for piece in (part, ("  ", ""))))

    def _counts(self) -> str:
        states = self._tally.states
        shown = {"ran": "run", "cached": "cached", "failed": "failed", "skipped": "skipped"}
        return ", ".join(f"{states[state]} {word}" for word, state in shown.items() if states[state])

    def _time(self, now: float) -> str:
        if now - self._left[0] >= _PAUSE:
            self._left = (now, self._tally.left(now))
        left = self._left[1]
        return console.duration(now) + (f", about {console.duration(left)} left" if left is not None else "")

    def _line(self, running: Running, now: float) -> RenderableType:
        """The action, how far it is, for how long it has run; where it is narrow, the name gives way."""
        assert self._console is not None
        far = f"  {running.what} {running.step}/{running.steps}" if running.steps else ""
        rest = f"{far}  {console.duration(now - running.started)}"
        room = self._console.width - len(rest) - 2
        return self._text((f"  {self._cut(running.action, max(8, room))}{rest}", ""))

    def _cut(self, text: str, room: int) -> str:
        """The text in at most `room` columns; wide characters take two."""
        from rich.cells import set_cell_size

        if console.width(text) <= room:
            return text
        dots = DOTS[self._is_unicode]
        return set_cell_size(text, room - len(dots)).rstrip() + dots

    def _text(self, *parts: tuple[str, str]) -> RenderableType:
        from rich.text import Text

        return Text.assemble(*parts, no_wrap=True, overflow="crop")

    @property
    def _is_unicode(self) -> bool:
        return self._console is not None and self._console.encoding.startswith("utf")


BARS = {True: ("━", "─"), False: ("#", "-")}
DOTS = {True: "…", False: "..."}
