"""Parameters of which the short run has some and the long one all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def by_column(rows: Iterable[Any], columns: Iterable[Any]) -> list[Any]:
    """`spread` for tests that go through a table: parameters of a column with many rows. The short run has
    every row in one column, the long one also the rest of each."""
    listed, across = list(rows), list(columns)
    found = []
    for place, column in enumerate(across):
        some = listed[place :: len(across)]
        rest = [row for row in listed if row not in some]
        found.append(pytest.param(column, some, id=str(column)))
        found.append(pytest.param(column, rest, id=f"{column}-rest", marks=pytest.mark.long))
    return found


def few(values: Iterable[Any], count: int) -> list[Any]:
    """Parameters of which the short run has the first `count`."""
    listed = list(values)
    return [*listed[:count], *(pytest.param(value, marks=pytest.mark.long) for value in listed[count:])]


def spread(rows: Iterable[Any], columns: Iterable[Any]) -> list[Any]:
    """Parameters for all pairs of two things that are tried together. Every row and every column is in some
    that the short run has."""
    first, second = list(rows), list(columns)
    least = min(len(first), len(second))
    return [
        pytest.param(row, column, marks=() if (at - place) % least == 0 else pytest.mark.long)
        for at, row in enumerate(first)
        for place, column in enumerate(second)
    ]
