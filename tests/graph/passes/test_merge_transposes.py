"""Transpose after Transpose, and those that move nothing."""

from __future__ import annotations

from tests.graph.small import after, graph, ops, untouched


def test_two_are_one() -> None:
    steps = [("Transpose", "x", "a", {"perm": [0, 2, 3, 1]}), ("Transpose", "a", "y", {"perm": [0, 2, 1, 3]})]
    result = after("merge_transposes", graph(steps))
    assert ops(result) == ["Transpose"]
    assert result.nodes[0].attributes["perm"] == [0, 3, 2, 1]


def test_moving_only_ones_is_a_reshape() -> None:
    step = ("Transpose", "x", "y", {"perm": [0, 2, 3, 1]})
    result = after("merge_transposes", graph([step], x=(1, 1, 4, 3)))
    assert ops(result) == ["Reshape"]
    assert result.constants[result.nodes[0].inputs[1]].tolist() == [1, 4, 3, 1]


def test_a_real_one_stays() -> None:
    untouched("merge_transposes", graph([("Transpose", "x", "y", {"perm": [0, 2, 3, 1]})]))
