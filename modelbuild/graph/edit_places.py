"""The place of an error that an edit of the manifest's list makes: whoever knows the list says its line."""

from __future__ import annotations

import re

LAST = -1
_PLACE = re.compile(r"(?:.*: )?edit\[(-1|\d+)\]", re.DOTALL)


def place(number: int) -> str:
    """The place of an error in the edit `number`, from 1, or in the `LAST`."""
    return f"edit[{number}]"


def number_at(where: str) -> int | None:
    """The number of the edit that is the place of an error, behind the file of the model or not."""
    found = _PLACE.fullmatch(where)
    return None if found is None else int(found[1])


def in_file(where: str, path: object) -> str:
    """The place with the file of the model, which an edit's lacks."""
    return f"{path}: {where}" if _PLACE.fullmatch(where) and ": " not in where else where
