"""Reshape after Reshape."""

from __future__ import annotations

from tests.graph.small import after, graph, ops

STEPS = [("Reshape", "x a", "r"), ("Reshape", "r b", "y")]
SHAPES = {"a": [2, 16], "b": [4, 8]}


def test_two_are_one() -> None:
    result = after("merge_reshapes", graph(STEPS, SHAPES))
    assert ops(result) == ["Reshape"]
    assert result.nodes[0].inputs == ["x", "b"]
    assert result.nodes[0].origin == ("reshape_0", "reshape_1")


def test_one_that_others_read_stays() -> None:
    before = graph([STEPS[0], ("Relu", "r", "z"), ("Reshape", "r b", "y")], SHAPES)
    before.outputs = ["z", "y"]
    result = after("merge_reshapes", before)
    assert ops(result) == ["Reshape", "Relu", "Reshape"]
    assert result.nodes[2].inputs == ["x", "b"]
