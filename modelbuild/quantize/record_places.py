"""Where a record stands, so that what is wrong with it is told with file and line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from modelbuild.errors import EXIT_FAILED, EXIT_USER, ModelbuildError


@dataclass(frozen=True)
class Places:
    """`lines`: the number of each line, by `line_of_tensor`, `line_of_correction`, or a key of the header.
    `given`: the user gave the file; else we made the record, and what is wrong with it is our mistake."""

    path: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    given: bool = False

    def refuse(self, key: str, what: str, why: str = "", advice: str = "") -> NoReturn:
        """Raise (exit 2, or 1 for a record of our own) on the line `key`, on the file where it has none."""
        where = f"{self.path}:{self.lines[key]}" if key in self.lines else self.path
        code = EXIT_USER if self.given else EXIT_FAILED
        raise ModelbuildError(what, where=where, why=why, advice=advice, exit_code=code)


def line_of_tensor(name: str) -> str:
    """The line of the table."""
    return f"tensor {quoted(name)}"


def line_of_correction(kind: str, name: str, channel: int | None = None) -> str:
    """A line `correct`; of `round` there is one a channel."""
    return f"{kind} {quoted(name)}" + ("" if channel is None else f" {channel}")


def quoted(name: str) -> str:
    """The name itself, or a JSON string where it would not read back."""
    plain = name.isascii() and name.isprintable() and " " not in name and not name.startswith('"')
    return name if plain and name else json.dumps(name)
