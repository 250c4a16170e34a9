"""Subtraction and division by constants."""

from __future__ import annotations

import numpy as np

from tests.graph.small import after, graph, numbers, ops, untouched


def test_constants_are_negated_and_inverted() -> None:
    steps = [("Sub", "x c", "a"), ("Div", "a d", "y")]
    result = after("subtract_to_add", graph(steps, {"c": numbers(4), "d": np.array([0.5, 2, -4, 8])}))
    assert ops(result) == ["Add", "Mul"]
    assert np.array_equal(result.constants[result.nodes[0].inputs[1]], -numbers(4))
    assert result.constants[result.nodes[1].inputs[1]].tolist() == [2.0, 0.5, -0.25, 0.125]


def test_division_by_zero_and_the_other_way_round_stay() -> None:
    untouched("subtract_to_add", graph([("Div", "x c", "y")], {"c": np.array([1.0, 0.0, 1.0, 1.0])}))
    untouched("subtract_to_add", graph([("Sub", "c x", "y")], {"c": 1.0}))
