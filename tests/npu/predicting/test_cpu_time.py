"""What nodes take on the CPU, by hand."""

from __future__ import annotations

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.npu.predicting import cpu_time
from tests.quantize.cases import graph_of, normal, one_node


def rate(chip: str) -> float:
    hardware = load_recipe(chip).hardware
    return hardware.cpu_hz.value * hardware.cpu_operations_per_cycle.value


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (one_node("Softmax", (1, 1000)), 16_000),
        (one_node("Sigmoid", (1, 10, 10)), 400),
        (one_node("Flatten", (1, 10, 10)), 0),
        (one_node("Transpose", (1, 10, 10), {"perm": [0, 2, 1]}), 200),
        (one_node("Conv", (1, 3, 8, 8), w=normal(4, 3, 3, 3)), 6 * 6 * 4 * 27),
        (one_node("Gemm", (2, 20), w=normal(20, 7)), 280),
        (one_node("GlobalAveragePool", (1, 6, 7, 8)), 6 * 7 * 8 * 4),
    ],
)
def test_operations(graph: Graph, expected: float) -> None:
    assert cpu_time.operations(graph, graph.nodes[0]) == expected


def test_rows_are_those_on_the_cpu() -> None:
    nodes = [Node("Sigmoid", "a", ["x"], ["h"]), Node("Softmax", "b", ["h"], ["y"])]
    graph = graph_of(nodes, {"x": (1, 1000)}, ["y"])
    hardware = load_recipe("kl720").hardware
    (row,) = cpu_time.rows(graph, {"a": "npu", "b": "cpu"}, {"b": "not on the NPU"}, hardware)
    assert row == {
        "name": "b",
        "op": "Softmax",
        "reason": "not on the NPU",
        "time_ms": pytest.approx(16_000 / rate("kl720") * 1e3),
    }
    assert (
        cpu_time.rows(graph, {"a": "cpu", "b": "npu"}, {}, hardware)[0]["reason"] == "placed there on demand"
    )
