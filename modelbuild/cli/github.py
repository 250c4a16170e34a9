"""Findings as workflow commands, which GitHub shows beside the lines of a change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from modelbuild.cli.findings import with_time

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
_Found = Mapping[str, Any]


def text(findings: Iterable[_Found], placed: Callable[[_Found], tuple[str, int, int] | None]) -> str:
    """A line a finding: `::error file=F,line=L,col=C,title=T::message`."""
    return "".join(f"{_line(with_time(finding), placed(finding))}\n" for finding in findings)


def _line(finding: _Found, place: tuple[str, int, int] | None) -> str:
    about = f"{finding['model']}@{finding['target']}" if finding.get("target") else finding.get("model") or ""
    properties = dict(zip(("file", "line", "col"), place, strict=True)) if place is not None else {}
    properties["title"] = f"{finding['code']} {about}".strip()
    listed = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    message = "\n".join(filter(None, (finding["message"], finding["advice"])))
    return f"::{_COMMANDS[finding['severity']]} {listed}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
