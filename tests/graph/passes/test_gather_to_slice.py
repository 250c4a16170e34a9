"""Gathers whose cells a Slice can take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.normalise import normalise
from tests.graph.small import Step, after, graph, numbers, only, ops, untouched


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
    name = "gather_to_slice" if expected == ["Slice"] else "index_to_slice"
    assert ops(after(name, before)) == expected


def test_a_single_index_stays_unless_no_node_is_added() -> None:
    index = {"i": np.array(1, np.int64), "s": [2, 8]}
    gather: Step = ("Gather", "x i", "g", {"axis": 1})
    untouched("gather_to_slice", graph([gather, ("Relu", "g", "y")], index))
    reshaped = after("gather_to_slice", graph([gather, ("Reshape", "g s", "y")], index))
    assert ops(normalise(reshaped)[0]) == ["Slice", "Reshape"]
    both = graph([gather, ("Reshape", "g s", "y")], index)
    both.outputs = ["y", "g"]
    untouched("gather_to_slice", both)
    single = graph([("Gather", "x i", "y", {"axis": 0})], {"i": np.array(0, np.int64)})
    assert ops(normalise(after("gather_to_slice", single))[0]) == ["Reshape"]


def test_others_stay() -> None:
    for indices in ([0, 1, 3], [1, 1], [[0], [1]]):
        given = {"i": np.array(indices, np.int64)}
        untouched("gather_to_slice", graph([("Gather", "x i", "y", {"axis": 1})], given, x=(1, 5, 2)))


def test_what_shape_arithmetic_needs_folds_before_it() -> None:
    before = graph(
        [("Gather", "x i", "a", {"axis": 3}), ("Mul", "a c", "y")], {"i": np.array(1), "c": numbers(4)}
    )
    assert only(after("index_to_slice", before), "Slice").origin == ("gather_0",)
