"""One build's `--events`, `--trace` and `--profile` together: one clock, one ledger, one end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from modelbuild.build.result import Event
from modelbuild.cli.recording import profile, trace
from modelbuild.cli.recording.events import EventWriter
from modelbuild.cli.recording.ledger import Ledger
from modelbuild.cli.recording.places import checked
from modelbuild.errors import ModelbuildError


class Recording:
    """An observer. Times are in seconds since `origin`, a `monotonic()` taken when the command began."""

    def __init__(
        self, origin: float, root: Path, manifest: str, events: str | None, trace_file: str | None
    ) -> None:
        """Raises ModelbuildError (exit 2) where a file cannot be written: nothing has been done by then."""
        given = {"--trace": trace_file, "--events": events}
        places = checked(root, manifest, {option: text for option, text in given.items() if text is not None})
        self._origin = origin
        self._trace = places.get("--trace")
        if self._trace is not None:
            trace.try_file(self._trace)
        self._events = EventWriter(places["--events"]) if "--events" in places else None
        self._offset: float | None = None
        self._phases: list[trace.Phase] = []
        self.ledger = Ledger()

    def now(self) -> float:
        """Seconds since the command began."""
        return monotonic() - self._origin

    def start(self, selectors: Sequence[str], options: Mapping[str, Any]) -> None:
        """The first line of the events."""
        if self._events is not None:
            self._events.start(selectors, options)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A part of the work before actions are looked at."""
        began = self.now()
        try:
            yield
        finally:
            self._phases.append(trace.Phase(name, began, self.now()))

    @contextmanager
    def building(self) -> Iterator[None]:
        """The build proper: what is before the first run is `judge`, what is after the last `publish`."""
        began = self.now()
        try:
            yield
        finally:
            ended = self.now()
            first = self.ledger.first
            last = max(self.ledger.last, began)
            looked = last if first is None else first
            self._phases.append(trace.Phase("judge", began, looked))
            if first is not None:
                self._phases.append(trace.Phase("run", first, max(first, last)))
            self._phases.append(trace.Phase("publish", max(looked, last), ended))

    def __call__(self, event: Event) -> None:
        """Notes an event, its time moved from the build's clock to the command's."""
        if event.kind == "waiting":
            stamped = event._replace(seconds=self.now())
        else:
            if self._offset is None:
                self._offset = self.now() - event.seconds
            stamped = event._replace(seconds=event.seconds + self._offset)
        self.ledger(stamped)
        if self._events is not None:
            self._events(stamped)

    def finish(self, exit_code: int, error: str = "") -> list[ModelbuildError]:
        """Ends the files, of whatever build; what could not be written. `error` is what ended it early."""
        self.ledger.close(self.now())
        found: list[ModelbuildError] = []
        if self._trace is not None:
            try:
                trace.write(self._trace, trace.trace(self.ledger.runs, self._phases, self.ledger.counts))
            except ModelbuildError as failure:
                found.append(failure)
        if self._events is not None:
            with self._events:
                self._events.finish(self.now(), exit_code, self.ledger.counts, error)
            found += self._events.failures()
        return found

    def profile(self, reads: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """The object of `--profile`."""
        return profile.profile(self.ledger.runs, self.now(), reads)
