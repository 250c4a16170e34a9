"""Truth values as numbers, recurrences as steps, products of computed matrices, sums of parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.model import Graph
from tests.graph.small import after, graph, numbers, only, ops, untouched

CHOICES = "choices_to_arithmetic"
STEPS = "recurrence_to_steps"
X = (2, 3, 4)
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@pytest.mark.parametrize("op", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
@pytest.mark.parametrize("logic", ["And", "Or", "Xor"])
def test_choices_of_comparisons(op: str, logic: str) -> None:
    steps = [
        (op, "a b", "c"),
        ("Less", "a zero", "d"),
        (logic, "c d", "e"),
        ("Not", "e", "f"),
        ("Where", "f a b", "y"),
    ]
    result = after(CHOICES, graph(steps, {"zero": np.float32(0)}, a=X, b=(3, 4)))
    assert {result.dtypes[name] for node in result.nodes for name in node.outputs if name == "y"} == {
        np.dtype(np.float32)
    }


def test_equal_values_are_equal() -> None:
    before = graph([("Equal", "x x", "e"), ("Cast", "e", "y", {"to": 1})], x=X)
    result = after(CHOICES, before)
    assert ops(result)[-1] == "Identity"


def test_constant_choices_and_infinite_numbers() -> None:
    steps = [("Where", "mask low x", "m"), ("Softmax", "m", "y", {"axis": -1})]
    mask = np.array([True, False, False, True])
    after(CHOICES, graph(steps, {"mask": mask, "low": np.float32(-np.inf)}, x=X))


def test_truth_values_are_moved() -> None:
    steps = [
        ("Greater", "x zero", "g"),
        ("Transpose", "g", "t", {"perm": [2, 0, 1]}),
        ("Reshape", "t shape", "r"),
        ("Cast", "r", "y", {"to": 1}),
    ]
    constants = {"zero": np.float32(0), "shape": np.array([-1], np.int64)}
    after(CHOICES, graph(steps, constants, x=X))


def test_truth_values_that_leave_the_model_stay() -> None:
    result = graph([("Greater", "x zero", "y")], {"zero": np.float32(0)}, x=X)
    untouched(CHOICES, result)


def recurrent(op: str, sides: int = 1, outputs: str = "y", **more: Any) -> Graph:
    """Three steps of two sequences of four inputs."""
    gates, hidden = GATES[op], 5
    names = outputs.split()
    constants = {
        "w": numbers(sides, gates * hidden, 4, seed=2),
        "r": numbers(sides, gates * hidden, hidden, seed=3),
        "b": numbers(sides, 2 * gates * hidden, seed=4),
    }
    attributes = {"hidden_size": hidden, "direction": ["forward", "bidirectional"][sides - 1], **more}
    made = graph([(op, "x w r b", names, attributes)], constants, x=(3, 2, 4))
    made.outputs = [name for name in names if name]
    return made


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("outputs", ["y", "y h", "_ h"])
def test_recurrences(op: str, sides: int, outputs: str) -> None:
    before = recurrent(op, sides, outputs)
    for node in before.nodes:
        node.outputs = ["" if name == "_" else name for name in node.outputs]
    before.outputs = [name for name in before.outputs if name != "_"]
    result = after(STEPS, before)
    assert set(ops(result)).isdisjoint(GATES) and "Gemm" in ops(result)


@pytest.mark.parametrize("more", [{"direction": "reverse"}, {"activations": ["Relu", "Tanh", "Sigmoid"]}])
def test_other_recurrences(more: dict[str, Any]) -> None:
    after(STEPS, recurrent("LSTM", 1, "y h c", **more))


def test_states_that_are_given_and_a_reset_before_the_product() -> None:
    for linear in (0, 1):
        steps = [("GRU", "x w r b _ h", ["y", "last"], {"hidden_size": 5, "linear_before_reset": linear})]
        constants = {"w": numbers(1, 15, 4), "r": numbers(1, 15, 5), "b": numbers(1, 30)}
        after(STEPS, graph(steps, constants, x=(3, 2, 4), h=(1, 2, 5)))


@pytest.mark.parametrize(
    "more", [{"clip": 1.0}, {"input_forget": 1}, {"activations": ["Affine", "Tanh", "Tanh"]}]
)
def test_what_recurrences_have_no_form_for_stays(more: dict[str, Any]) -> None:
    untouched(STEPS, recurrent("LSTM", **more))


@pytest.mark.parametrize("turned", [0, 1])
def test_gemm_of_computed_matrices(turned: int) -> None:
    shape = (6, 3) if turned else (3, 6)
    attributes = {"transB": turned, "alpha": 0.5, "beta": 2.0}
    before = graph([("Gemm", "a b c", "y", attributes)], a=(2, 3), b=shape, c=(2, 6))
    assert set(ops(after("gemm_to_matmul", before))) <= {"Transpose", "MatMul", "Mul", "Add"}
    alone = graph([("Gemm", "a b", "y", {"transB": turned})], a=(2, 3), b=shape)
    assert "MatMul" in ops(after("gemm_to_matmul", alone))


def test_a_bias_that_differs_from_row_to_row() -> None:
    before = graph([("Gemm", "x w b", "y")], {"w": numbers(4, 3), "b": numbers(2, 3)}, x=(2, 4))
    assert ops(after("gemm_to_matmul", before)) == ["Gemm", "Add"]
    row = graph([("Gemm", "x w b", "y")], {"w": numbers(4, 3), "b": numbers(1, 3)}, x=(2, 4))
    untouched("gemm_to_matmul", row)


def test_masks_before_a_softmax_are_finite() -> None:
    hidden = np.where(np.tri(4) > 0, 0, -np.inf).astype(np.float32)
    steps = [("Add", "x mask", "s"), ("Softmax", "s", "y", {"axis": -1})]
    result = after("finite_masks", graph(steps, {"mask": hidden}, x=(2, 4, 4)))
    assert np.isfinite(result.constants[only(result, "Add").inputs[1]]).all()
    untouched("finite_masks", graph([("Add", "x mask", "y")], {"mask": hidden}, x=(2, 4, 4)))
    rows = np.full((4, 4), -np.inf, np.float32)
    untouched("finite_masks", graph(steps, {"mask": rows}, x=(2, 4, 4)))


@pytest.mark.parametrize(("channels", "count"), [(9, 2), (13, 2), (25, 3)])
def test_many_input_channels_are_a_sum(channels: int, count: int) -> None:
    steps = [("Conv", "x w b", "y", {"pads": [1, 1, 1, 1]})]
    constants = {"w": numbers(3, channels, 3, 3), "b": numbers(3)}
    result = after(
        "split_input_channels", graph(steps, constants, x=(1, channels, 5, 6)), -(-channels // count)
    )
    convs = [node for node in result.nodes if node.op == "Conv"]
    assert len(convs) == count and sum(len(node.inputs) == 3 for node in convs) == 1
    assert ops(result).count("Add") == count - 1
    assert sum(result.shapes[node.inputs[0]][1] for node in convs) == channels


def test_many_rows_of_a_matrix_are_a_sum() -> None:
    before = graph([("Gemm", "x w b", "y", {"transB": 1})], {"w": numbers(3, 20), "b": numbers(3)}, x=(2, 20))
    assert ops(after("split_input_channels", before, 8)).count("Gemm") == 3
    untouched("split_input_channels", before, 20)
    grouped = graph([("Conv", "x w", "y", {"group": 2})], {"w": numbers(4, 10, 1, 1)}, x=(1, 20, 3, 3))
    untouched("split_input_channels", grouped, 8)
