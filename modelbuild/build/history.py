"""Which key each action name had, now and before: the memory of `why`. It decides nothing."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from modelbuild.build import canonical, disk

Reason = Literal["new", "changed", "retry", "damaged"]
# the name in a line: canonical JSON sorts its keys, and no quotation mark stands bare in a text
_NAME = re.compile(rb'"name":(.*?),"outcome":')
_SLACK = 1000  # superseded lines that are tolerated before the file is written anew


@dataclass(frozen=True)
class Entry:
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
        self._newest = {found[1]: found.start() for found in _NAME.finditer(self._data)}  # name as written
        self._lines = self._data.count(b"\n")
        self._torn = bool(self._data) and not self._data.endswith(b"\n")

    def get(self, name: str) -> Entry | None:
        """The newest entry of that name."""
        if name not in self._entries:
            written = canonical.encode(name)
            place = self._newest.pop(written, -1)
            while place >= 0:
                start = self._data.rfind(b"\n", 0, place) + 1
                with suppress(disk.Damaged):
                    self._entries[name] = Entry(**disk.unsealed_line(self._line(start)))
                    break
                place = self._data.rfind(b'"name":' + written + b",", 0, start)
        return self._entries.get(name)

    def maker(self, key: str) -> str:
        """The name of an action that last ran under that key, or nothing."""
        made = (entry.name for entry in self._all() if entry.key == key and entry.outcome != "cached")
        return next(made, "")

    def add(self, entry: Entry) -> None:
        """Appends an entry. Raises ModelbuildError (exit 1)."""
        line = disk.sealed_line(asdict(entry))
        data = b"\n" + line if self._torn else line
        self._torn = True  # until it is known that all of it is there
        disk.append(self._path, data)
        self._torn = False
        self._entries[entry.name] = entry
        self._lines += 1

    def compact(self) -> None:
        """Drops superseded lines once they are many. Raises ModelbuildError (exit 1)."""
        if self._lines > 2 * (len(self._entries) + len(self._newest)) + _SLACK:
            kept = self._all()
            disk.write(self._path, b"".join(disk.sealed_line(asdict(entry)) for entry in kept), self._scratch)
            self._lines = len(kept)

    def _all(self) -> list[Entry]:
        for name in list(self._newest):
            with suppress(ValueError, TypeError):  # the name of a damaged line
                self.get(json.loads(name))
        return list(self._entries.values())

    def _line(self, start: int) -> bytes:
        end = self._data.find(b"\n", start)
        return self._data[start:] if end < 0 else self._data[start:end]
