"""Ranges are chosen by the error after the function that reads a tensor."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelbuild.graph.model import Node
from modelbuild.quantize.functions import function_after
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.verify import verify
from tests.quantize.cases import graph_of, make, normal

X = np.linspace(-4, 4, 9)
CASES = {
    "Sigmoid": ({}, 1 / (1 + np.exp(-X))),
    "HardSigmoid": ({"alpha": 0.5, "beta": 0.1}, np.clip(0.5 * X + 0.1, 0, 1)),
    "HardSwish": ({}, X * np.clip(X + 3, 0, 6) / 6),
    "Tanh": ({}, np.tanh(X)),
    "LeakyRelu": ({"alpha": 0.2}, np.where(X > 0, X, 0.2 * X)),
    "Elu": ({"alpha": 2.0}, np.where(X > 0, X, 2 * np.expm1(X))),
    "Softplus": ({}, np.log1p(np.exp(X))),
    "Relu": ({}, np.maximum(X, 0)),
}


def after(nodes: list[Node], outputs: list[str], tensor: str):
    graph = graph_of(nodes, {"x": (1, 9)}, outputs)
    return function_after(graph, make_plan(graph), tensor)


@pytest.mark.parametrize("op", sorted(CASES))
def test_functions(op: str) -> None:
    attributes, expected = CASES[op]
    function = after([Node(op, "f", ["x"], ["y"], dict(attributes))], ["y"], "x")
    assert function is not None
    np.testing.assert_allclose(function(X), expected, rtol=1e-12)


def test_a_gate_counts_as_the_product() -> None:
    nodes = [Node("Sigmoid", "gate", ["x"], ["s"]), Node("Mul", "m", ["s", "x"], ["y"])]
    function = after(nodes, ["y"], "x")
    assert function is not None and function(np.array([2.0]))[0] == pytest.approx(2 / (1 + math.exp(-2)))


def test_only_a_sole_reader_counts() -> None:
    two = [Node("Sigmoid", "a", ["x"], ["y"]), Node("Tanh", "b", ["x"], ["z"])]
    assert after(two, ["y", "z"], "x") is None
    shared = [Node("Flatten", "a", ["x"], ["f"]), Node("Tanh", "b", ["f"], ["y"])]
    assert after(shared, ["y"], "f") is None and after(shared, ["y"], "x") is None
    wanted = [Node("Abs", "a", ["x"], ["f"]), Node("Tanh", "b", ["f"], ["y"])]
    assert after(wanted, ["f", "y"], "f") is None and after(wanted, ["y"], "x") is None


def test_what_the_function_flattens_is_clipped() -> None:
    """Most of the range lies where SiLU is almost 0; steps are spent where it is not."""
    nodes = [
        Node("Conv", "conv", ["x", "w", "b"], ["c"]),
        Node("Sigmoid", "gate", ["c"], ["s"]),
        Node("Mul", "m", ["c", "s"], ["y"]),
    ]
    constants = {"w": 12 * normal(4, 3, 1, 1), "b": np.full(4, -30, np.float32)}
    made = make(graph_of(nodes, {"x": (1, 3, 12, 12)}, ["y"], constants), "modalix")
    line, seen = made.record.by_name()["c"], made.observations.tensors["c"].histogram
    assert line.low > seen.low / 2 and line.high >= seen.high * 0.9
    assert verify(made.fixed, made.graph, iter(made.samples))["outputs"][0]["snr_db"] > 35
