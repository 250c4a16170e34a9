"""Which key each action name had, now and before: the memory of `why`. It decides nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from modelbuild.build import canonical, disk

Reason = Literal["new", "changed", "retry", "damaged"]
# around the name in a line: canonical JSON sorts its keys, and no quotation mark stands bare in a text
_NAME, _AFTER_NAME = b'"name":', b',"outcome":'
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
        self._unread: dict[bytes, list[bytes]] = {}  # the name as it is written -> its lines
        self._lines = 0
        self._torn = False
        self._load()

    def get(self, name: str) -> Entry | None:
        """The newest entry of that name."""
        if name not in self._entries:
            for line in reversed(self._unread.pop(canonical.encode(name), [])):
                with suppress(disk.Damaged):
                    self._entries[name] = Entry(**disk.unsealed_line(line))
                    break
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
        if self._lines > 2 * (len(self._entries) + len(self._unread)) + _SLACK:
            kept = self._all()
            disk.write(self._path, b"".join(disk.sealed_line(asdict(entry)) for entry in kept), self._scratch)
            self._lines = len(kept)

    def _all(self) -> list[Entry]:
        for name in list(self._unread):
            with suppress(ValueError, TypeError):  # the name of a damaged line
                self.get(json.loads(name))
        return list(self._entries.values())

    def _load(self) -> None:
        data = disk.read(self._path) or b""
        self._torn = bool(data) and not data.endswith(b"\n")
        for line in data.splitlines():
            self._lines += 1
            start = line.find(_NAME) + len(_NAME)
            self._unread.setdefault(line[start : line.find(_AFTER_NAME, start)], []).append(line)
