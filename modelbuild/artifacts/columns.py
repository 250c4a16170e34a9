"""Text for terminals: columns that line up, long lists cut with a count, nothing that steers a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from unicodedata import category, combining, east_asian_width

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?( %)?|0x[0-9a-f]+")
_WIDEST = 48  # columns, beyond which a cell stands out of its own line and moves no other
# Unicode categories that show nothing, or turn what follows around
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str) -> str:
    """The text on one line; what a terminal would obey, or not show, as \\xNN or \\uNNNN."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if category(char) in _HIDDEN else char for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line a row; numbers are set right. Rows have equally many cells."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if not cells:
        return []
    places = range(len(cells[0]))
    widths = [max([w for row in cells if (w := width(row[i])) <= _WIDEST], default=0) for i in places]
    right = [all(_is_number(row[i]) for row in cells[1:] or cells) for i in places]
    return [
        "  ".join(_set(cell, widths[i], right[i]) for i, cell in enumerate(row) if widths[i] or cell).rstrip()
        for row in cells
    ]


def shortened(lines: Sequence[str], most: int | None, indent: str = "") -> list[str]:
    """The lines; of more than `most` the first, and how many are left out."""
    if most is None or len(lines) <= most:
        return list(lines)
    return [*lines[: most - 1], f"{indent}… {len(lines) - most + 1} more (-v shows all)"]


def width(text: str) -> int:
    """The columns that a text takes on a terminal: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _is_number(cell: str) -> bool:
    return cell in ("", "-") or _NUMBER.fullmatch(cell) is not None


def _set(cell: str, room: int, right: bool) -> str:
    blanks = " " * (room - width(cell))
    return blanks + cell if right else cell + blanks
