"""Nodes that change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tests.graph.small import Step, after, graph, ops, untouched

CASES: list[tuple[Step, dict[str, object]]] = [
    (("Identity", "a", "b"), {}),
    (("Dropout", "a", "b"), {}),
    (("Cast", "a", "b", {"to": 1}), {}),
    (("Transpose", "a", "b", {"perm": [0, 1, 2, 3]}), {}),
    (("Reshape", "a c", "b"), {"c": [1, 2, 4, 4]}),
    (("Slice", "a z e", "b"), {"z": [0], "e": [9]}),
    (("Pad", "a c", "b"), {"c": [0] * 8}),
    (("Concat", "a", "b", {"axis": 1}), {}),
    (("Add", "a c", "b"), {"c": np.zeros((1, 2, 1, 1))}),
    (("Mul", "c a", "b"), {"c": 1.0}),
    (("Sub", "a c", "b"), {"c": 0.0}),
    (("Div", "a c", "b"), {"c": 1.0}),
    (("MaxPool", "a", "b", {"kernel_shape": [1, 1]}), {}),
    (("Resize", "a _ c", "b"), {"c": np.ones(4, np.float32)}),
    (("Expand", "a c", "b"), {"c": [1, 2, 4, 4]}),
    (("Clip", "a", "b"), {}),
]


@pytest.mark.parametrize(("step", "constants"), CASES, ids=[step[0] for step, _ in CASES])
def test_it_goes(step: Step, constants: dict[str, object]) -> None:
    before = graph([("Relu", "x", "a"), step, ("Neg", "b", "y")], constants)
    assert ops(after("remove_no_ops", before)) == ["Relu", "Neg"]


def test_at_the_output_the_maker_takes_the_name() -> None:
    result = after("remove_no_ops", graph([("Relu", "x", "a"), ("Neg", "a", "b"), ("Identity", "a", "y")]))
    assert ops(result) == ["Relu", "Neg"]
    assert result.nodes[0].outputs == ["y"] == result.outputs
    assert result.nodes[1].inputs == ["y"]


@pytest.mark.parametrize(
    ("step", "constants"),
    [
        (("Identity", "x", "y"), {}),  # the model's input is its output
        (("Slice", "x s e a t", "y"), {"s": [-1], "e": [-99], "a": [3], "t": [-1]}),  # backwards
        (("Sub", "c x", "y"), {"c": 0.0}),
        (("Add", "x c", "y"), {"c": np.zeros((3, 1, 1, 1))}),  # makes the tensor larger
        (("Div", "c x", "y"), {"c": 1.0}),
    ],
)
def test_it_stays(step: Step, constants: dict[str, object]) -> None:
    untouched("remove_no_ops", graph([step], constants))


def test_a_second_output_that_leaves_the_model_keeps_its_node() -> None:
    before = graph(
        [("Relu", "x", "a"), ("MaxPool", "a", ["b", "places"], {"kernel_shape": [1, 1]}), ("Neg", "b", "y")]
    )
    before.outputs = ["y", "places"]
    untouched("remove_no_ops", before)
