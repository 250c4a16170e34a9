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
_NAME = 8  # columns that an action's name has at least, before other things give way
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
            try:
                self._live.stop()
            except OSError as error:
                raise console.untold(error) from None

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
        self._live.start(refresh=True)

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
        filled = _BAR * tally.done // max(1, tally.total)
        full, empty = BARS[self._is_unicode]
        parts = {
            "bar": (full * filled + empty * (_BAR - filled), "green"),
            "done": (f"{tally.done}/{tally.total}", "bold"),
            "counts": (self._counts(), ""),
            "spent": (console.duration(now), "dim"),
            "left": (self._remaining(now), "dim"),
        }
        parts = {name: part for name, part in parts.items() if part[0]}
        for least in ("bar", "counts", "spent", "left"):
            if sum(len(text) + 2 for text, _ in parts.values()) - 2 > self._console.width:
                parts.pop(least, None)
        pieces = [piece for part in parts.values() for piece in (("  ", ""), part)]
        return self._text(*pieces[1:])

    def _counts(self) -> str:
        states = self._tally.states
        shown = {"ran": "run", "cached": "cached", "failed": "failed", "skipped": "skipped"}
        return ", ".join(f"{states[state]} {word}" for word, state in shown.items() if states[state])

    def _remaining(self, now: float) -> str:
        if now - self._left[0] >= _PAUSE:
            self._left = (now, self._tally.left(now))
        left = self._left[1]
        return "" if left is None else f"about {console.duration(left)} left"

    def _line(self, running: Running, now: float) -> RenderableType:
        """The action, how far it is, how long it has run; where it is narrow, the name gives way first."""
        assert self._console is not None
        count = f"{running.step}/{running.steps}" if running.steps else ""
        spent = console.duration(now - running.started)
        for rest in ((f"{running.what} {count}" if count else "", spent), (count, spent), (count,), ()):
            shown = "".join(f"  {part}" for part in rest if part)
            room = self._console.width - console.width(shown) - 2
            if room >= _NAME or not rest:
                break
        return self._text((f"  {self._cut(running.action, max(1, room))}{shown}", ""))

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
