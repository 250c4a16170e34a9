"""Tables of many small cases, tried in one test: a failure names its row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def row(*names: object) -> Iterator[None]:
    """What fails within tells the row, too."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"row: {', '.join(map(str, names))}")
        raise
