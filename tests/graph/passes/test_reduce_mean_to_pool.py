"""Global pooling in one form."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graph.small import after, graph, ops, untouched


@pytest.mark.parametrize(
    ("op", "attributes", "expected"),
    [
        ("ReduceMean", {"axes": [2, 3]}, ["GlobalAveragePool"]),
        ("ReduceMean", {"axes": [-1, -2], "keepdims": 0}, ["GlobalAveragePool", "Reshape"]),
        ("ReduceMax", {"axes": [2, 3]}, ["GlobalMaxPool"]),
        ("AveragePool", {"kernel_shape": [4, 4]}, ["GlobalAveragePool"]),
        ("MaxPool", {"kernel_shape": [4, 4], "strides": [4, 4]}, ["GlobalMaxPool"]),
    ],
)
def test_over_the_whole_picture(op: str, attributes: dict[str, Any], expected: list[str]) -> None:
    assert ops(after("reduce_mean_to_pool", graph([(op, "x", "y", attributes)]))) == expected


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("ReduceMean", {"axes": [1, 2]}),
        ("ReduceMean", {"axes": [3]}),
        ("AveragePool", {"kernel_shape": [4, 2]}),
        ("AveragePool", {"kernel_shape": [4, 4], "pads": [1, 1, 1, 1], "strides": [4, 4]}),
    ],
)
def test_over_a_part_stays(op: str, attributes: dict[str, Any]) -> None:
    untouched("reduce_mean_to_pool", graph([(op, "x", "y", attributes)]))
