"""Checksums of a record's lines: which of them were edited by hand, and what may be edited."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping

EDITED = "edited"  # in the column `method`, and in place of the sum behind any other line
TYPES = ("int4", "int8", "uint8", "int16", "uint16")
MODEL, FORMAT, LINES = "model", "format", "lines"  # lines that are used, and marked, if they do not fit
_EDITABLE = ("type", "scale", "zero")
_NOT_SUMMED = frozenset({"snr", "output", "sum", *_EDITABLE})  # what was measured follows from nothing else
_HALF = 8  # hexadecimal digits


def line_sum(cells: Mapping[str, str]) -> str:
    """Twice eight hexadecimal digits: over the cells that may be edited, and over the others but those that
    are measured."""
    editable = "\0".join(cells[column] for column in _EDITABLE)
    others = "\0".join(cell for column, cell in cells.items() if column not in _NOT_SUMMED)
    return text_sum(editable) + text_sum(others)


def text_sum(text: str) -> str:
    """Eight hexadecimal digits: CRC-32."""
    return f"{zlib.crc32(text.encode()):08x}"


def sum_of_lines(keys: Iterable[str]) -> str:
    """Over which lines there are, in any order; what they hold has a sum of its own in each."""
    return text_sum("\0".join(sorted(keys)))


def as_edited(cells: Mapping[str, str]) -> dict[str, str]:
    """The cells of a line whose sum is another, as they count: the range follows from scale and zero, and
    what was measured is not known. Raises ValueError for an edit that could have no effect."""
    marked = {**cells, "method": EDITED, "snr": "-", "output": "-"}
    others_fit = line_sum(cells)[_HALF:] == cells["sum"][_HALF:]
    if cells["kind"] == "weight":
        if not others_fit or all(line_sum({**cells, "type": name}) != cells["sum"] for name in TYPES):
            raise ValueError("of weights the type can be edited; their ranges are in `correct clip`")
        return marked
    if not others_fit:
        raise ValueError(
            "only type, scale and zero can be edited, and something else differs: radix, low and high follow "
            "from scale and zero; kind, method, sum and name stay as they were"
        )
    return {**marked, **_following(cells)}


def _following(cells: Mapping[str, str]) -> dict[str, str]:
    """What scale and zero point make of the cells that show them in another way."""
    scale, zero = float(cells["scale"]), int(cells["zero"])
    bits = int(cells["type"].removeprefix("u").removeprefix("int"))
    lowest = 0 if cells["type"].startswith("u") else -(1 << (bits - 1))
    low, high = (lowest - zero) * scale, (lowest + (1 << bits) - 1 - zero) * scale
    return {"radix": str(math.frexp(1.0 / scale)[1] - 1), "low": repr(low), "high": repr(high)}
