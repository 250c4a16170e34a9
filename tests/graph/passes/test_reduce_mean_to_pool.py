"""Global pooling in one form."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graph.small import Step, after, graph, numbers, ops, untouched


@pytest.mark.parametrize(
    ("op", "attributes", "expected"),
    [
        ("ReduceMean", {"axes": [2, 3]}, ["GlobalAveragePool"]),
        ("ReduceMax", {"axes": [2, 3]}, ["GlobalMaxPool"]),
        ("AveragePool", {"kernel_shape": [4, 4]}, ["GlobalAveragePool"]),
        ("MaxPool", {"kernel_shape": [4, 4], "strides": [4, 4]}, ["GlobalMaxPool"]),
    ],
)
def test_over_the_whole_picture(op: str, attributes: dict[str, Any], expected: list[str]) -> None:
    assert ops(after("reduce_mean_to_pool", graph([(op, "x", "y", attributes)]))) == expected


@pytest.mark.parametrize(("op", "pool"), [("ReduceMean", "Average"), ("ReduceMax", "Max")])
def test_axes_that_go_need_a_reshape(op: str, pool: str) -> None:
    """One node stays one node; a chip's own pass, or a Reshape that reads it, makes the pool."""
    flat: Step = (op, "x", "m", {"axes": [-1, -2], "keepdims": 0})
    behind = graph([flat, ("Gemm", "m w", "y")], {"w": numbers(2, 3)})
    untouched("reduce_mean_to_pool", behind)
    assert ops(after("flat_mean_to_pool", behind)) == [f"Global{pool}Pool", "Reshape", "Gemm"]
    reshaped = graph([flat, ("Reshape", "m s", "y")], {"s": [1, 1, 2]})
    assert ops(after("reduce_mean_to_pool", reshaped)) == [f"Global{pool}Pool", "Reshape", "Reshape"]


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
