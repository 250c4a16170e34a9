"""Two things tried together: each with some of the others in the short run, all pairs in the long one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def spread(rows: Iterable[Any], columns: Iterable[Any]) -> list[Any]:
    """Parameters for all pairs. Every row and every column is in some that the short run has."""
    first, second = list(rows), list(columns)
    least = min(len(first), len(second))
    return [
        pytest.param(row, column, marks=() if (at - place) % least == 0 else pytest.mark.long)
        for at, row in enumerate(first)
        for place, column in enumerate(second)
    ]
