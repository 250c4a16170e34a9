"""Which key each action name had, now and before: the memory of `why`. It decides nothing."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from modelbuild.build import canonical, disk
from modelbuild.build.appending import append

Reason = Literal["new", "changed", "retry", "damaged"]
# the name in a line: canonical JSON sorts its keys, and no quotation mark stands bare in a text
_NAME = rb'"name":(.*?),"outcome":'
_MANY = 32  # names; for so many it is quicker to look through the file once
_SLACK = 1000  # superseded lines that are tolerated before the file is written anew


class Entry(NamedTuple):
    """The last time that an action of this name ran, failed, or was found in the store under another key."""

    name: str
    key: str
    previous: str | None
    outcome: Literal["run", "failed", "cached"]
    reason: Reason


class History:
    """Name -> entry, kept as a file to which a line is added at a time; a damaged line is passed over.

    A line is judged and parsed when its name is asked for: most builds ask for few."""

    def __init__(self, path: Path, scratch: Path) -> None:
        self._path = path
        self._scratch = scratch
        self._entries: dict[str, Entry] = {}
        self._data = disk.read(path) or b""
        self._asked = 0
        self._newest: dict[bytes, int] | None = None  # name as written -> where; made when many are asked for
        self._counted: int | None = None  # how many lines there were, once they are counted
        self._lines = 0  # that were added
        self._torn = bool(self._data) and not self._data.endswith(b"\n")

    def get(self, name: str) -> Entry | None:
        """The newest entry of that name."""
        if name not in self._entries:
            written = canonical.encode(name)
            place = self._place(written)
            while place >= 0:
                start = self._data.rfind(b"\n", 0, place) + 1
                with suppress(disk.Damaged):
                    self._entries[name] = Entry(**disk.unsealed_line(self._line(start)))
                    break
                place = self._before(written, start)
        return self._entries.get(name)

    def maker(self, key: str) -> str:
        """The name of an action that last ran under that key, or nothing."""
        made = (entry.name for entry in self._all() if entry.key == key and entry.outcome != "cached")
        return next(made, "")

    def add(self, entry: Entry) -> None:
        """Appends an entry. Raises ModelbuildError (exit 1)."""
        line = disk.sealed_line(entry._asdict())
        data = b"\n" + line if self._torn else line
        self._torn = True  # until it is known that all of it is there
        append(self._path, data)
        self._torn = False
        self._entries[entry.name] = entry
        self._lines += 1

    def count(self) -> int:
        """How many lines there were before any was added; to be asked for when there is time."""
        if self._counted is None:
            self._counted = self._data.count(b"\n")
        return self._counted

    def compact(self) -> None:
        """Drops superseded lines once they are many. Raises ModelbuildError (exit 1)."""
        before = self.count()
        lines = before + self._lines
        if lines // _SLACK == before // _SLACK:
            return  # it was looked at when there were hardly fewer
        kept = self._all()
        if lines > 2 * len(kept) + _SLACK:
            disk.write(
                self._path, b"".join(disk.sealed_line(entry._asdict()) for entry in kept), self._scratch
            )

    def _all(self) -> list[Entry]:
        for name in list(self._places()):
            with suppress(ValueError, TypeError):  # the name of a damaged line
                self.get(json.loads(name))
        return list(self._entries.values())

    def _place(self, written: bytes) -> int:
        """Where the newest line of a name has it; -1 if there is none."""
        self._asked += 1
        return (
            self._before(written, len(self._data)) if self._asked < _MANY else self._places().get(written, -1)
        )

    def _before(self, written: bytes, end: int) -> int:
        return self._data.rfind(b'"name":' + written + b",", 0, end)

    def _places(self) -> dict[bytes, int]:
        if self._newest is None:
            self._newest = {found[1]: found.start() for found in re.finditer(_NAME, self._data)}
        return self._newest

    def _line(self, start: int) -> bytes:
        end = self._data.find(b"\n", start)
        return self._data[start:] if end < 0 else self._data[start:end]
