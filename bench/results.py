"""Measured rows in a file, so that a long run can be ended and taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Results:
    """A line of JSON a row, found again under its key; without a file nothing is found and nothing kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows: dict[str, Any] = {}
        if path is not None and path.exists():
            whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")  # the last one may be broken off
            rows = [json.loads(line) for line in whole.splitlines()]
            self._rows = {row["key"]: row["row"] for row in rows}
            path.write_text(whole + "\n" if whole else "", encoding="utf-8")

    def get(self, key: str) -> Any:
        """The row, None if it was not measured."""
        return self._rows.get(key)

    def keep(self, key: str, row: Any) -> None:
        """Writes a row behind the others."""
        self._rows[key] = row
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "row": row}, sort_keys=True) + "\n")
