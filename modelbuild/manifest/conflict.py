"""The marks that git leaves in a file whose merge is not finished."""

from __future__ import annotations

import re

from modelbuild.errors import ModelbuildError

_MARK = re.compile(r"^(?:<{7}|>{7})(?=\s|$)", re.MULTILINE)


def found(text: str, name: str, advice: str) -> ModelbuildError | None:
    """The error (exit 2) that names the line of the first mark, if the text of the file `name` has one."""
    mark = _MARK.search(text)
    if mark is None:
        return None
    line = text.count("\n", 0, mark.start()) + 1
    return ModelbuildError(
        "the marks of a merge conflict", where=f"{name}:{line}", why="a merge is not finished", advice=advice
    )
