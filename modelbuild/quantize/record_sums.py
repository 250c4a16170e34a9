"""Checksums of a record's lines: which of them were edited by hand, and what may be edited."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

EDITED = "edited"  # in the column `method`, and behind a correction
TYPES = ("int4", "int8", "uint8", "int16", "uint16")
_MEASURED = frozenset({"snr", "output", "sum"})  # what follows from nothing else in the line


def line_sum(cells: Mapping[str, str]) -> str:
    """Eight hexadecimal digits over all cells but those that are measured."""
    return text_sum("\0".join(cell for column, cell in cells.items() if column not in _MEASURED))


def text_sum(text: str) -> str:
    """Eight hexadecimal digits: CRC-32."""
    return f"{zlib.crc32(text.encode()):08x}"


def as_edited(cells: Mapping[str, str]) -> dict[str, str]:
    """The cells of a line whose sum is another, as they count: the range follows from scale and zero, and
    what was measured is not known. Raises ValueError for an edit that could have no effect."""
    marked = {**cells, "method": EDITED, "snr": "-", "output": "-"}
    if cells["kind"] == "weight":
        if all(line_sum({**cells, "type": name}) != cells["sum"] for name in TYPES):
            raise ValueError("of weights the type can be edited; their ranges are in `correct clip`")
        return marked
    following = _following(cells)
    if line_sum({**cells, **following}) == cells["sum"]:
        raise ValueError("radix, low and high follow from scale and zero; edit these")
    return {**marked, **following}


def _following(cells: Mapping[str, str]) -> dict[str, str]:
    """What scale and zero point make of the cells that show them in another way."""
    scale, zero = float(cells["scale"]), int(cells["zero"])
    bits = int(cells["type"].removeprefix("u").removeprefix("int"))
    lowest = 0 if cells["type"].startswith("u") else -(1 << (bits - 1))
    low, high = (lowest - zero) * scale, (lowest + (1 << bits) - 1 - zero) * scale
    return {"radix": str(math.frexp(1.0 / scale)[1] - 1), "low": repr(low), "high": repr(high)}
