"""The table of what the CPU does: of a kmodel functions of one kind and reason together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import fsum

from modelbuild.report import text
from modelbuild.report.measurements import CpuNode

_LISTED = 3  # names of functions that stand together


@dataclass(frozen=True)
class Row:
    """Functions with one reason: their names, all of them for who points at it, and ms together."""

    name: str
    title: str
    op: str
    reason: str
    counted: str
    time_ms: float


def rows(nodes: Sequence[CpuNode], together: bool) -> list[Row]:
    """In the order of the first of each; without `together` a row for each."""
    groups: dict[tuple[object, ...], list[CpuNode]] = {}
    for index, node in enumerate(nodes):
        key = (node.op, node.reason, node.counted) if together else (index,)
        groups.setdefault(key, []).append(node)
    return [
        Row(
            _named([text.short(node.name) for node in group]),
            ", ".join(node.name for node in group),
            group[0].op,
            group[0].reason,
            group[0].counted,
            fsum(_times(group)),
        )
        for group in groups.values()
    ]


def _times(nodes: Sequence[CpuNode]) -> Iterator[float]:
    return (node.time_ms for node in nodes if node.time_ms is not None)


def _named(names: Sequence[str]) -> str:
    if len(names) <= _LISTED:
        return ", ".join(names)
    return f"{', '.join(names[: _LISTED - 1])} … {names[-1]} ({len(names)})"
