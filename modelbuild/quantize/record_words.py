"""Words of a quantization record: names and numbers, in the one spelling that each has."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

MOST_SHOWN = 40  # characters of a word that an error repeats
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


class Unreadable(ValueError):
    """What is wrong with a line, for its reader, and what to do about it where that is known."""

    def __init__(self, why: str, advice: str = "") -> None:
        super().__init__(why)
        self.advice = advice


def name_and_rest(text: str) -> tuple[str, str]:
    """A name, and what stands behind it."""
    if text.startswith('"'):
        name, end = _json_string(text)
        return name, text[end:]
    name, _, rest = text.partition(" ")
    return name, rest


def whole_name(text: str) -> str:
    """A name that ends the line."""
    if not text.startswith('"'):
        return text
    name, end = _json_string(text)
    if text[end:].strip():
        raise Unreadable(f"behind the name there is more: {shown(text[end:].strip())}")
    return name


def _json_string(text: str) -> tuple[str, int]:
    try:
        name, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        raise Unreadable("a name that begins with a quotation mark must be a JSON string") from None
    return str(name), end


def optional(word: str, read: Callable[[str], Any]) -> Any:
    """None for `-`."""
    return None if word == "-" else read(word)


def real(word: str) -> float:
    """A finite number."""
    if len(word) > MOST_SHOWN or not _REAL.fullmatch(word) or not math.isfinite(float(word)):
        raise Unreadable(f"{shown(word)} is not a finite number")
    return float(word)


def whole(word: str, low: int, high: int) -> int:
    """A whole number between two."""
    if not _WHOLE.fullmatch(word):
        raise Unreadable(f"{shown(word)} is not a whole number, or has more than 18 digits")
    value = int(word)
    if not low <= value <= high:
        raise Unreadable(f"{value} is outside {low}...{high}")
    return value


def shown(word: str) -> str:
    """A word of the file in quotation marks, cut where it is long."""
    return repr(word if len(word) <= MOST_SHOWN else f"{word[:MOST_SHOWN]}...")
