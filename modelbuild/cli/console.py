"""What people see: the result on standard output, all else on standard error."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelbuild.errors import ModelbuildError

CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


@dataclass
class _Style:
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    color: str = "auto"


_style = _Style()


def configure(*, json: bool, quiet: bool, verbose: bool, color: str) -> None:
    """Set once, from the command line."""
    _style.json, _style.quiet, _style.verbose, _style.color = json, quiet, verbose, color


def paint(text: str, colour: str, stream: Any = None) -> str:
    """The text in a colour, where the stream (standard error unless told) shows colours."""
    stream = sys.stderr if stream is None else stream
    wanted = {"always": True, "never": False}.get(_style.color)
    if wanted is None:
        wanted = stream.isatty() and "NO_COLOR" not in os.environ
    return f"\x1b[{CODES[colour]}m{text}\x1b[0m" if wanted else text


def report(error: ModelbuildError) -> None:
    """Every problem of an error, on standard error."""
    for problem in error.problems:
        print(f"{paint('error:', 'red')} {problem}", file=sys.stderr)


def say(text: str) -> None:
    """A message that is always shown, on standard error."""
    print(text, file=sys.stderr)


def progress(text: str) -> None:
    """What is being done; not with -q."""
    if not _style.quiet:
        print(text, file=sys.stderr, flush=True)


def detail(text: str) -> None:
    """Shown with -v only."""
    if _style.verbose:
        print(text, file=sys.stderr, flush=True)


def result(text: str, data: Any) -> None:
    """The verb's result: the JSON object with --json, else the text."""
    if _style.json:
        print(json_module.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False))
    elif text:
        print(text)


def summary(text: str, data: Any) -> None:
    """As `result`, for verbs whose result is that they did it: nothing to read with -q."""
    result("" if _style.quiet else text, data)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns that line up; those in `right` are set right."""
    widths = [max(len(str(row[i])) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = (
            str(cell).rjust(width) if index in right else str(cell).ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), *map(line, rows)])


def finding_text(finding: dict[str, Any]) -> str:
    """A finding on one line, its advice on the next."""
    place = finding.get("where") or finding["file"]
    if finding["file"] and finding["line"] is not None:
        place = f"{finding['file']}:{finding['line']}:{finding['column']}"
    head = f"{place}: " if place else ""
    about = f"{finding['model']}@{finding['target']}: " if finding.get("target") else ""
    colour = {"error": "red", "warning": "yellow"}.get(finding["severity"], "dim")
    severity = paint(finding["severity"], colour, sys.stdout)
    text = f"{head}{severity} {finding['code']}: {about}{finding['message']}"
    return text + (f"\n  do:  {finding['advice']}" if finding["advice"] else "")
