"""Gathers whose cells a Slice can take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.small import after, graph, numbers, only, ops, untouched


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        (2, ["Slice", "Reshape"]),
        (-1, ["Slice", "Reshape"]),
        ([2], ["Slice"]),
        ([1, 2, 3], ["Slice"]),
        ([0, 2, 4], ["Slice"]),
        ([-1, -3, -5], ["Slice"]),
        ([3, 2, 1, 0], ["Slice"]),
    ],
)
@pytest.mark.parametrize("axis", [1, -2])
def test_evenly_spaced_cells(indices: Any, expected: list[str], axis: int) -> None:
    before = graph(
        [("Gather", "x i", "y", {"axis": axis})], {"i": np.array(indices, np.int64)}, x=(2, 5, 5, 3)
    )
    assert ops(after("gather_to_slice", before)) == expected


def test_others_stay() -> None:
    for indices in ([0, 1, 3], [1, 1], [[0], [1]]):
        given = {"i": np.array(indices, np.int64)}
        untouched("gather_to_slice", graph([("Gather", "x i", "y", {"axis": 1})], given, x=(1, 5, 2)))


def test_what_shape_arithmetic_needs_folds_before_it() -> None:
    before = graph(
        [("Gather", "x i", "a", {"axis": 3}), ("Mul", "a c", "y")], {"i": np.array(1), "c": numbers(4)}
    )
    assert only(after("gather_to_slice", before), "Slice").origin == ("gather_0",)
