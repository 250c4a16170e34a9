"""Which key each action name had, now and before: the memory of `why`. It decides nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from modelbuild.build import canonical, disk

Reason = Literal["new", "changed", "retry", "damaged"]
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
    """Name -> entry, kept as a file to which a line is added at a time; a damaged line is passed over."""

    def __init__(self, path: Path, scratch: Path) -> None:
        self._path = path
        self._scratch = scratch
        self._entries: dict[str, Entry] = {}
        self._lines = 0
        self._torn = False
        self._load()

    def get(self, name: str) -> Entry | None:
        """The newest entry of that name."""
        return self._entries.get(name)

    def maker(self, key: str) -> str:
        """The name of an action that last ran under that key, or nothing."""
        made = (
            entry.name for entry in self._entries.values() if entry.key == key and entry.outcome != "cached"
        )
        return next(made, "")

    def add(self, entry: Entry) -> None:
        """Appends an entry. Raises ModelbuildError (exit 1)."""
        line = _line(entry)
        data = b"\n" + line if self._torn else line
        self._torn = True  # until it is known that all of it is there
        disk.append(self._path, data)
        self._torn = False
        self._entries[entry.name] = entry
        self._lines += 1

    def compact(self) -> None:
        """Drops superseded lines once they are many. Raises ModelbuildError (exit 1)."""
        if self._lines > 2 * len(self._entries) + _SLACK:
            disk.write(self._path, b"".join(map(_line, self._entries.values())), self._scratch)
            self._lines = len(self._entries)

    def _load(self) -> None:
        data = disk.read(self._path) or b""
        self._torn = bool(data) and not data.endswith(b"\n")
        for line in data.splitlines():
            self._lines += 1
            digest, _, body = line.partition(b" ")
            if _seal(body) == digest:
                entry = Entry(**json.loads(body))
                self._entries[entry.name] = entry


def _line(entry: Entry) -> bytes:
    body = canonical.encode(asdict(entry))
    return _seal(body) + b" " + body + b"\n"


def _seal(body: bytes) -> bytes:
    return canonical.sha256(body)[:16].encode("ascii")
