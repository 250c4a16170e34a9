"""Checksums of a record's lines: which of them were edited by hand, and what may be edited."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping

EDITED = "edited"  # in the column `method`, and in place of the sum behind any other line
TYPES = ("int4", "int8", "uint8", "int16", "uint16")
MODEL, FORMAT, LINES = "model", "format", "lines"  # lines that are used, and marked, if they do not fit
KINDS = ("input", "activation", "output", "weight")
METHODS = (  # as docs/quantization.md lists them
    *("output_error", "mse", "entropy", "minmax", "moving_average", "percentile", "natural", "headroom"),
    *("wide", "given", "source", "shared", "adaround", "squant", EDITED),
)
_EDITABLE = ("type", "scale", "zero")
_FOUND = ("snr", "output")
_FOLLOWING = ("radix", "low", "high")
_MOST_SHOWN = 80  # characters of a name
_HALF = 8  # hexadecimal digits of each sum


class Refused(ValueError):
    """An edit that could have no effect, or not the one that is meant; `advice` says what to write."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


def line_sum(cells: Mapping[str, str]) -> str:
    """Three times eight hexadecimal digits: over the cells that may be edited, over those that name the line
    and its range, and over what was found of it."""
    apart = (*_EDITABLE, *_FOUND, "sum")
    others = [column for column in cells if column not in apart]
    return "".join(_sum_of(cells, columns) for columns in (_EDITABLE, others, _FOUND))


def sum_of_found(cells: Mapping[str, str]) -> str:
    """The last of the three."""
    return _sum_of(cells, _FOUND)


def _sum_of(cells: Mapping[str, str], columns: Iterable[str]) -> str:
    return text_sum("\0".join(cells[column] for column in columns))


def text_sum(text: str) -> str:
    """Eight hexadecimal digits: CRC-32."""
    return f"{zlib.crc32(text.encode()):08x}"


def sum_of_lines(keys: Iterable[str]) -> str:
    """Over which lines there are, in any order; what they hold has a sum of its own in each."""
    return text_sum("\0".join(sorted(keys)))


def as_edited(cells: Mapping[str, str]) -> dict[str, str]:
    """The cells of a line whose sum is another, as they count: the range follows from scale and zero, and
    what was found is not known any more. Raises Refused for an edit that could have no effect."""
    own, others, found = (
        _part(line_sum(cells), number) == _part(cells["sum"], number) for number in range(3)
    )
    if not others:
        raise Refused(*_other_edit(cells))
    if not found and (own or any(cells[column] != "-" for column in _FOUND)):
        raise Refused(
            "`snr` or `output` was edited, which tell what was found of the line", "put back what stood there"
        )
    marked = {**cells, "method": EDITED, **dict.fromkeys(_FOUND, "-")}
    before = _only_type(cells)
    if cells["kind"] == "weight":
        if before is None:
            raise Refused(
                "of weights the type can be edited", "put scale and zero back; ranges are in `correct clip`"
            )
        return marked
    if before is not None and (apart := _bits(cells["type"]) - _bits(before)):
        raise Refused(*_same_scale(cells, before, apart))
    return {**marked, **_following(cells)}


def _part(total: str, number: int) -> str:
    return total[number * _HALF : (number + 1) * _HALF]


def _only_type(cells: Mapping[str, str]) -> str | None:
    """The type that was, where scale and zero are as they were."""
    stated = _part(cells["sum"], 0)
    return next((name for name in TYPES if _sum_of({**cells, "type": name}, _EDITABLE) == stated), None)


def _same_scale(cells: Mapping[str, str], before: str, apart: int) -> tuple[str, str]:
    scale, zero = math.ldexp(float(cells["scale"]), -apart), round(math.ldexp(int(cells["zero"]), apart))
    steps = "no finer" if apart > 0 else "no coarser, and spans less"
    return (
        f"the type was {before} and is {cells['type']}, with the same scale: it rounds {steps}",
        f"for the same range write the scale {scale!r} and the zero {zero} as well",
    )


def _other_edit(cells: Mapping[str, str]) -> tuple[str, str]:
    """What is wrong with an edit of other columns, which are named where that can be known, and advice."""
    following = _following(cells) if cells["scale"] != "-" and cells["zero"] != "-" else {}
    tries = [*((column, [following[column]]) for column in _FOLLOWING if column in following)]
    tries += [("kind", list(KINDS)), ("method", list(METHODS))]
    for column, values in tries:
        for value in values:
            if value != cells[column] and _fits({**cells, column: value}):
                why = "follows from scale and zero" if column in following else "says what the line is"
                return f"`{column}` was edited, which {why}", f"write {value} again"
    back = f"put the line back as it was, its name too ({cells['name'][:_MOST_SHOWN]})"
    if cells["kind"] == "weight":
        return "of weights the type can be edited; low, high, name and sum stay as they were", back
    return (
        "only type, scale and zero can be edited, and something else differs: radix, low and high follow "
        "from scale and zero; kind, method, sum and name stay as they were",
        back,
    )


def _fits(cells: Mapping[str, str]) -> bool:
    return _part(line_sum(cells), 1) == _part(cells["sum"], 1)


def _bits(name: str) -> int:
    return int(name.removeprefix("u").removeprefix("int"))


def _following(cells: Mapping[str, str]) -> dict[str, str]:
    """What scale and zero point make of the cells that show them in another way."""
    scale, zero = float(cells["scale"]), int(cells["zero"])
    bits = _bits(cells["type"])
    lowest = 0 if cells["type"].startswith("u") else -(1 << (bits - 1))
    low, high = (lowest - zero) * scale, (lowest + (1 << bits) - 1 - zero) * scale
    return {"radix": str(math.frexp(1.0 / scale)[1] - 1), "low": repr(low), "high": repr(high)}
