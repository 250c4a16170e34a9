"""Constant folding: shape arithmetic goes, what depends on the input stays."""

from __future__ import annotations

import numpy as np

from tests.graph.small import after, graph, ops, untouched


def test_shape_arithmetic_around_a_reshape_becomes_its_constant_target() -> None:
    result = after(
        "fold_constants",
        graph(
            [
                ("Shape", "x", "s"),
                ("Gather", "s zero", "n"),
                ("Unsqueeze", "n axes", "u"),
                ("Concat", "u rest", "t", {"axis": 0}),
                ("Reshape", "x t", "y"),
            ],
            {"zero": 0, "axes": [0], "rest": [-1]},
        ),
    )
    assert ops(result) == ["Reshape"]
    assert result.constants["t"].tolist() == [1, -1]


def test_constant_of_shape_and_arithmetic_on_weights() -> None:
    steps = [("ConstantOfShape", "n", "w", {"value": np.array([2.0], np.float32)})]
    result = after("fold_constants", graph([*steps, ("Add", "x w", "y")], {"n": [4]}))
    assert ops(result) == ["Add"]
    assert result.constants["w"].tolist() == [2.0] * 4


def test_a_math_library_function_is_left_alone() -> None:
    untouched("fold_constants", graph([("Exp", "c", "e"), ("Add", "x e", "y")], {"c": [1.5]}))
