"""Nodes as layers: what belongs together, and how much work it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.statistics import node_macs
from modelbuild.npu.layers import Work, layers, work


def graph(
    op: str, x: tuple[int, ...], y: tuple[int, ...], *weights: tuple[int, ...], **attributes: Any
) -> Graph:
    constants = {f"w{index}": np.zeros(shape, np.float32) for index, shape in enumerate(weights)}
    node = Node(op, "n", ["x", *constants], ["y"], attributes)
    shapes = {"x": x, "y": y, **{name: value.shape for name, value in constants.items()}}
    return Graph("g", [node], ["x"], ["y"], constants, shapes)


@pytest.mark.parametrize(
    ("made", "expected", "macs"),
    [
        (
            graph("Conv", (1, 3, 16, 16), (1, 8, 8, 8), (8, 3, 3, 3), (8,)),
            Work("window", 8, 8, 9, 3, 8),
            8 * 8 * 9 * 3 * 8,
        ),
        (
            graph("Conv", (1, 8, 8, 8), (1, 4, 8, 8), (4, 8, 1, 1)),
            Work("pointwise", 8, 8, 1, 8, 4),
            64 * 32,
        ),
        (
            graph("Conv", (1, 8, 8, 8), (1, 8, 8, 8), (8, 1, 3, 3), group=8),
            Work("depthwise", 8, 8, 9, 1, 1, 8),
            64 * 9 * 8,
        ),
        (
            graph("Conv", (1, 8, 8, 8), (1, 4, 8, 8), (4, 4, 3, 3), group=2),
            Work("window", 8, 8, 9, 4, 2, 2),
            64 * 9 * 4 * 2 * 2,
        ),
        (
            graph("ConvTranspose", (1, 8, 4, 4), (1, 6, 8, 8), (8, 6, 2, 2)),
            Work("window", 4, 4, 4, 8, 6),
            16 * 4 * 48,
        ),
        (graph("Gemm", (1, 100), (1, 10), (10, 100), transB=1), Work("pointwise", 1, 1, 1, 100, 10), 1000),
        (graph("MatMul", (2, 5, 7), (2, 5, 3), (7, 3)), Work("pointwise", 10, 1, 1, 7, 3), 210),
        (graph("GlobalAveragePool", (1, 8, 4, 4), (1, 8, 1, 1)), Work("elementwise", operations=128), 0),
        (graph("Transpose", (1, 8, 4, 4), (1, 4, 4, 8)), Work("movement", operations=128), 0),
        (graph("Reshape", (1, 8, 4, 4), (1, 128)), Work("alias"), 0),
    ],
)
def test_work(made: Graph, expected: Work, macs: int) -> None:
    assert work(made, made.nodes[0]) == expected
    assert expected.macs == macs == node_macs(made, made.nodes[0])


def test_fused_nodes_belong_to_the_layer_before_them() -> None:
    weight = np.zeros((4, 4, 1, 1), np.float32)
    nodes = [
        Node("Conv", "c", ["x", "w", "b"], ["t0"], origin=("conv", "bn")),
        Node("Relu", "r", ["t0"], ["t1"]),
        Node("Add", "a", ["t1", "x"], ["t2"]),
        Node("Clip", "k", ["t2", "low", "high"], ["y"]),
    ]
    scalar = np.zeros((), np.float32)
    constants = {"w": weight, "b": np.zeros(4, np.float32), "low": scalar, "high": scalar}
    shapes = dict.fromkeys(("x", "t0", "t1", "t2", "y"), (1, 4, 8, 8))
    made = Graph("g", nodes, ["x"], ["y"], constants, shapes)
    first, second = layers(made, {"c": "npu", "r": "fused", "a": "npu", "k": "fused"})
    assert (first.name, first.op, first.origin) == ("c", "Conv", ("conv", "bn", "r"))
    assert (first.reads, first.writes, first.weights) == (("x",), ("t1",), 16 + 4 * 4)
    assert (second.name, second.reads, second.writes) == ("a", ("t1", "x"), ("y",))
