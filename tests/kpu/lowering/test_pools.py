"""Pools that get a KPU layer of their own: bytes as they are, and the places that `check` names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.arithmetic.kpu.pools import pooled
from modelbuild.arithmetic.sessions import session
from modelbuild.graph.model import Node
from modelbuild.kpu.quantizing import layer_constants
from tests.arithmetic.kpu.made import byte_tensor, one
from tests.kpu.emitting import running
from tests.kpu.lowering.made import conv, lowered, network, weights

ALL = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
LEAST = 30.0


def pool(
    source: str, target: str, op: str = "MaxPool", kernel: int = 2, stride: int = 2, **more: Any
) -> Node:
    attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, **more}
    return Node(op, target, [source], [target], attributes)


@pytest.mark.parametrize(("scale", "zero"), [(1e-9, 0), (0.0235, 97), (1.0, 128), (7.3e5, 255)])
@pytest.mark.parametrize("name", ["bypass", "max_2_s2", "mean_4_s4"])
def test_the_unit_matrix_leaves_every_byte(scale: float, zero: int, name: str) -> None:
    x = byte_tensor("x", (1, 1, 16, 16), scale, zero)
    y = byte_tensor("y", pooled(ALL, name).shape, scale, zero)
    parameters, constants = layer_constants(
        np.ones((1, 1, 1, 1), np.int8), np.ones(1), np.zeros(1, np.int64), x, y, lambda v: v, pool=name
    )
    made = one("kpu_conv", [x, y], parameters, constants)
    for values in (ALL, ALL[:, :, ::-1, ::-1].copy(), np.random.default_rng(1).permuted(ALL, axis=3)):
        assert np.array_equal(session(made).run({"x": values})["y"], pooled(values, name))


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (2, 1), (4, 4)])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_a_pool_behind_a_depthwise_layer_is_one(op: str, kernel: int, stride: int) -> None:
    nodes = [
        conv("x", "c", "d", group=8),
        Node("Relu", "r", ["c"], ["r"]),
        pool("r", "p", op, kernel, stride),
    ]
    graph = network([*nodes, conv("p", "y", "w", 1)], (1, 8, 19, 22), weights(d=(8, 1, 3, 3), w=(6, 8, 1, 1)))
    made = lowered(graph)
    assert made.units["p"] == "npu" and made.count("window") == 0
    first, second, _ = made.kinds("kpu_conv")
    of = "max" if op == "MaxPool" else "mean"
    assert second.parameters["pool"] == f"{of}_{kernel}_s{stride}" and second.inputs == first.outputs
    assert made.count("slice") == int(stride == 1)
    assert made.snr() > LEAST


def test_a_pool_of_what_others_read_is_a_layer() -> None:
    """It leaves the largest of the very bytes that the others read."""
    graph = network([conv("x", "t", "w"), pool("t", "y")], (1, 8, 18, 22), weights(w=(8, 8, 3, 3)), "t", "y")
    made = lowered(graph)
    assert made.units["y"] == "npu" and made.count("kpu_conv") == 2
    for sample in made.samples:
        found = made.outputs(sample)
        assert np.array_equal(found["t"].reshape(1, 8, 9, 2, 11, 2).max(axis=(3, 5)), found["y"])


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_both_simulators_agree(op: str) -> None:
    nodes = [
        conv("x", "a", "u", 1),
        conv("a", "b", "d", group=8),
        pool("b", "c", op),
        pool("c", "e", op, 2, 1),
        conv("e", "y", "w"),
    ]
    constants = weights(u=(8, 3, 1, 1), d=(8, 1, 3, 3), w=(6, 8, 3, 3))
    made = lowered(network(nodes, (1, 3, 18, 34), constants, "c", "y"))
    assert made.units["c"] == made.units["e"] == "npu"
    found = running.compiled(made.fixed)
    running.check_simulated(made.fixed, made.samples[0], found)
    running.check_judged(made.fixed, made.samples[0], found)


def test_a_pool_of_joined_maps_is_a_layer() -> None:
    nodes = [conv("x", "a", "u"), conv("x", "b", "v"), Node("Concat", "t", ["a", "b"], ["t"], {"axis": 1})]
    constants = weights(u=(8, 8, 3, 3), v=(4, 8, 3, 3))
    made = lowered(network([*nodes, pool("t", "y")], (1, 8, 12, 14), constants))
    assert made.units["y"] == "npu" and made.fixed.constants[
        made.kinds("kpu_conv")[-1].constants["weight"]
    ].shape == (12, 12, 1, 1)
    assert made.snr() > LEAST


def test_bounds_behind_a_mean_are_a_table() -> None:
    nodes = [conv("x", "c", "d", group=8), pool("c", "p", "AveragePool"), Node("Relu", "y", ["p"], ["y"])]
    made = lowered(network(nodes, (1, 8, 12, 14), weights(d=(8, 1, 3, 3))))
    assert made.units["p"] == "npu" and made.count("lookup") == 1 and made.snr() > 25
    assert [each.origin for each in made.kinds("kpu_conv")] == [("conv_c",), ("p",)]


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (2, 1), (4, 4)])
@pytest.mark.parametrize(
    ("before", "after", "tables"), [("", "Relu", 1), ("Relu", "Relu", 0), ("", "Clip", 1)]
)
def test_bounds_behind_the_mean_of_a_layer(
    kernel: int, stride: int, before: str, after: str, tables: int
) -> None:
    """A table, where the bytes of the mean hold numbers beyond them."""
    nodes = [conv("x", "c", "u"), *([Node(before, "b", ["c"], ["b"])] if before else [])]
    nodes.append(pool(nodes[-1].outputs[0], "p", "AveragePool", kernel, stride))
    nodes.append(Node(after, "a", ["p", "low", "high"] if after == "Clip" else ["p"], ["a"]))
    bounds = {"low": np.array(-0.1, np.float32), "high": np.array(0.2, np.float32)} if after == "Clip" else {}
    graph = network(
        [*nodes, conv("a", "y", "w")],
        (1, 3, 16, 20),
        {**weights(u=(8, 3, 3, 3), w=(6, 8, 3, 3)), **bounds},
        "a",
        "y",
    )
    made = lowered(graph)
    assert made.units["p"] == "fused" and made.count("lookup") == tables and made.count("kpu_conv") == 2
    found = made.outputs(made.samples[0])["a"]
    assert found.min() >= (-0.11 if after == "Clip" else 0)
    running.check_simulated(made.fixed, made.samples[0], running.compiled(made.fixed))
    assert made.snr() > 25


@pytest.mark.parametrize(
    ("nodes", "size", "more"),
    [
        ([conv("x", "t", "d", group=8)], (12, 14), {"pads": [1, 1, 1, 1]}),
        ([conv("x", "t", "d", group=8)], (12, 14), {"kernel": 3}),
        ([conv("x", "t", "d", group=8)], (4, 3), {}),
        ([conv("x", "t", "d", group=8)], (4, 3), {"op": "AveragePool"}),
        ([Node("Relu", "t", ["x"], ["t"])], (12, 14), {}),
        ([conv("x", "c", "d", group=8), Node("Add", "t", ["c", "x"], ["t"])], (12, 14), {}),
    ],
    ids=["pads", "3x3", "few cells", "a mean of few cells", "nothing before", "floats before"],
)
def test_other_pools_stay_on_the_cpu(nodes: list[Node], size: tuple[int, int], more: dict[str, Any]) -> None:
    made = lowered(network([*nodes, pool("t", "y", **more)], (1, 8, *size), weights(d=(8, 1, 3, 3))))
    assert made.units["y"] == "cpu" and made.snr() > LEAST


def test_a_rising_function_behind_a_max_is_in_the_layers_table() -> None:
    nodes = [conv("x", "c", "u"), pool("c", "p"), Node("Sigmoid", "a", ["p"], ["a"]), conv("a", "y", "w")]
    made = lowered(network(nodes, (1, 3, 16, 20), weights(u=(8, 3, 3, 3), w=(6, 8, 3, 3))))
    assert [each.kind for each in made.fixed.operators] == ["quantize", "kpu_conv", "kpu_conv", "dequantize"]
    assert made.snr() > LEAST
