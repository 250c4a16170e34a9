"""Failures as they happen: each error once, with every action that met it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from modelbuild.cli import console
from modelbuild.errors import ModelbuildError

Locate = Callable[[str, ModelbuildError], ModelbuildError]


class Failures:
    """Tells of failures on standard error. `locate` adds a place in the manifest to an action's error;
    `log_of` is where the output of an action's run was kept."""

    def __init__(self, locate: Locate, log_of: Callable[[str], Path]) -> None:
        self._locate = locate
        self._log_of = log_of
        self._told: set[str] = set()
        self._first: dict[str, str] = {}  # the text of an error -> the action that met it first

    def tell_all(self, failures: Iterable[tuple[str, ModelbuildError]]) -> None:
        """Those of a finished build."""
        for action, error in failures:
            self.tell(action, error)

    def tell(self, action: str, error: ModelbuildError | None) -> None:
        """One failure, unless it was told before; a stage's log where it says more than the message."""
        if action in self._told or error is None:
            return
        self._told.add(action)
        located = self._locate(action, error)
        text = str(located)
        first = self._first.setdefault(text, action)
        if first != action:
            console.say(f"{console.paint('failed:', 'red')} {action}, for the same reason as {first}")
            return
        console.say(f"{console.paint('failed:', 'red')} {action}")
        console.report(located)
        if "internal error" in text:
            console.say(f"  log: {self._log_of(action)}")
