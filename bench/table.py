"""Rows -> a table of Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines; the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" + "---:|" * (len(head) - 1)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def milliseconds(seconds: float) -> str:
    """Three digits."""
    found = seconds * 1000
    return f"{found:.0f}" if found >= 100 else f"{found:.1f}" if found >= 10 else f"{found:.2f}"


def ratio(value: float, to: float | None) -> str:
    """How many times as long."""
    return "" if to is None else f"{value / to:.1f}"
