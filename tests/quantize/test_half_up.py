"""What rounding half up adds to sums on coarse grids, and that biases make up for it."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.arithmetic.multiplier_shift import FixedSession
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.half_up import excess
from modelbuild.quantize.plan import make_plan
from tests.quantize.cases import graph_of, make, samples_of

STEPS = {"x": 0.5, "a": 0.5, "b": 0.5, "y": 1.0, "z": 1.0}


def of_two(op: str = "Add", outputs: tuple[str, ...] = ("y",), relu: bool = False) -> Graph:
    """y = a + b, both of a convolution; of `a` behind a Relu."""
    rng = np.random.default_rng(1)
    constants = {name: rng.standard_normal((4, 3, 1, 1)).astype(np.float32) for name in ("v", "w")}
    first = [Node("Conv", "first", ["x", "v"], ["c" if relu else "a"])]
    first += [Node("Relu", "relu", ["c"], ["a"])] if relu else []
    nodes = [*first, Node("Conv", "second", ["x", "w"], ["b"]), Node(op, "sum", ["a", "b"], ["y"])]
    return graph_of(nodes, {"x": (1, 3, 8, 8)}, list(outputs), constants)


def found(graph: Graph, steps: dict[str, float]) -> dict[str, float]:
    return excess(graph, make_plan(graph), lambda name: steps[name])


def test_half_a_step_of_one_bit_behind_the_point() -> None:
    assert found(of_two(), STEPS) == {"a": 0.25}
    assert found(of_two(), {**STEPS, "b": 0.25}) == {"a": 0.125}
    assert found(of_two(), {**STEPS, "a": 1.0}) == {"a": 0.25}


def test_nothing_where_no_halves_occur() -> None:
    assert found(of_two(), {**STEPS, "a": 2.0, "b": 1.0}) == {}
    assert found(of_two(), {**STEPS, "a": 0.3, "b": 0.7}) == {}


def test_who_makes_up_for_it() -> None:
    assert found(of_two("Sub"), STEPS) == {"a": 0.25}
    assert found(of_two(outputs=("y", "a")), STEPS) == {"b": 0.25}  # a is read elsewhere
    assert found(of_two("Sub", ("y", "a")), STEPS) == {"b": -0.25}
    assert found(of_two(relu=True), STEPS) == {"b": 0.25}
    assert found(of_two(outputs=("y", "a", "b")), STEPS) == {}


@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_the_sum_has_its_mean(op: str) -> None:
    graph = of_two(op)
    samples = samples_of(graph, 16)
    ranges, means = {"a": [-7.9, 7.9], "b": [-7.9, 7.9], "y": [-15.8, 15.8]}, {}
    for wanted in ("parallel", "none"):
        model = make(graph, "kl520", {"bias_correction": wanted, "ranges": ranges}, samples).fixed
        session, line, errors = FixedSession(model), model.tensors["y"], []
        shift = next(one.parameters["shift"] for one in model.operators if one.kind == "add")
        for sample in samples:
            codes = quantize_array(sample["x"], model.tensors["x"])
            x = dequantize_array(codes, model.tensors["x"])
            v, w = (graph.constants[name].astype(np.float64) for name in ("v", "w"))
            weight = v + w if op == "Add" else v - w
            exact = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x)
            y = dequantize_array(session.run({"x": codes})["y"], line)
            errors.append((y - exact) / line.scale)
        means[wanted] = float(np.mean(errors))
        assert shift == 1
    assert abs(means["parallel"]) < 0.04 < 0.1 < means["none"]
