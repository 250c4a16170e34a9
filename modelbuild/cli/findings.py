"""Findings of `check` as text: those that say the same of several nodes stand once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import fsum
from typing import Any

from modelbuild.cli import console

TIME = "time_ms"  # of findings that speak of it
_HERE = "\0"  # where a message names its node


def texts(findings: Iterable[Mapping[str, Any]], *, each: bool = False) -> list[str]:
    """A text for each group of equal findings, or for `each` finding, in the order of the first of each."""
    groups: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for index, finding in enumerate(findings):
        shared = {key: value for key, value in finding.items() if key not in ("node", TIME)}
        shared["message"] = _without_node(finding)
        key = (index,) if each else tuple(sorted((name, str(value)) for name, value in shared.items()))
        groups.setdefault(key, []).append(dict(finding))
    return [console.finding_text(with_time(_joined([*map(_short, group)]))) for group in groups.values()]


def with_time(finding: Mapping[str, Any]) -> dict[str, Any]:
    """The finding, whose message tells its time."""
    time = finding.get(TIME)
    told = "" if time is None else f", {_shown(time)} a run"
    return {**finding, "message": f"{finding['message']}{told}"}


def _shown(ms: float) -> str:
    return "less than 0.01 ms" if ms < 0.01 else f"about {float(f'{ms:.2g}'):g} ms"


def _short(finding: dict[str, Any]) -> dict[str, Any]:
    """With the names of its node and of others, where these are long, without their middle."""
    node = str(finding.get("node") or "")
    message = console.short_names(str(finding["message"]))
    if node:
        message = message.replace(node, console.short(node))
    return {**finding, "node": console.short(node), "message": message}


def _without_node(finding: Mapping[str, Any]) -> str:
    node, message = str(finding.get("node") or ""), str(finding["message"])
    if not node:
        return message
    name = re.escape(node)
    return re.sub(rf"`{name}`|(?<![\w/]){name}(?![\w/])", _HERE, message, count=1)


def _joined(group: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(f"`{finding['node']}`" for finding in group if finding.get("node")))
    if len(names) < 2:
        return group[0]
    shown = ", ".join(names) if len(names) < 4 else f"{', '.join(names[:2])} … {names[-1]}"
    message = _without_node(group[0])
    told = f"{shown} ({len(names)} nodes)"
    times = [finding[TIME] for finding in group if finding.get(TIME) is not None]
    message = message.replace(_HERE, told) if _HERE in message else f"{told}: {message}"
    return {**group[0], **({TIME: fsum(times)} if times else {}), "message": message}
