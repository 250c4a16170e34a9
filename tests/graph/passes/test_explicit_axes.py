"""Axes from the front; Slice in full."""

from __future__ import annotations

import numpy as np
import pytest

from tests.graph.small import after, graph, ops, untouched


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Concat"])
def test_negative_axis(op: str) -> None:
    names = "x x" if op == "Concat" else "x"
    assert after("explicit_axes", graph([(op, names, "y", {"axis": -3})])).nodes[0].attributes["axis"] == 1


def test_reduction_without_axes_names_all() -> None:
    node = after("explicit_axes", graph([("ReduceMean", "x", "y", {"keepdims": 0})])).nodes[0]
    assert node.attributes == {"axes": [0, 1, 2, 3], "keepdims": 0}


def test_reduce_sum_takes_its_axes_as_input() -> None:
    result = after("explicit_axes", graph([("ReduceSum", "x a", "y")], {"a": [-1, 1]}))
    assert result.constants[result.nodes[0].inputs[1]].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (([-3], [99], [-1], [1]), ([1], [4], [3], [1])),
        (([0], [-1], [2], [2]), ([0], [3], [2], [2])),
        (([-1], [-99], [3], [-1]), ([3], [-5], [3], [-1])),
    ],
)
def test_slice_bounds_are_inside_the_axis(
    values: tuple[list[int], ...], expected: tuple[list[int], ...]
) -> None:
    constants = dict(zip("seat", values, strict=True))
    result = after("explicit_axes", graph([("Slice", "x s e a t", "y")], constants))
    found = tuple(result.constants[name].tolist() for name in result.nodes[0].inputs[1:])
    assert found == expected


def test_slice_without_axes_and_steps_gets_them() -> None:
    before = graph(
        [("Slice", "x s e", "y")], {"s": np.array([0, 1], np.int32), "e": np.array([1, 2], np.int32)}
    )
    result = after("explicit_axes", before)
    assert [result.constants[name].tolist() for name in result.nodes[0].inputs[1:]] == [
        [0, 1],
        [1, 2],
        [0, 1],
        [1, 1],
    ]
    assert ops(result) == ["Slice"]


def test_a_single_number_has_no_axes() -> None:
    before = graph([("Relu", "x", "y")], x=())
    before.nodes[0].op = "Softmax"
    untouched("explicit_axes", before)
