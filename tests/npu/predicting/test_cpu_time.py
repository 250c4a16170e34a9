"""What nodes take on the CPU, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.npu.predicting import cpu_time
from tests.quantize.cases import graph_of, normal, one_node


def rate(chip: str) -> float:
    hardware = load_recipe(chip).hardware
    return hardware.cpu_hz.value * hardware.cpu_operations_per_cycle.value


def ints(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (one_node("Softmax", (1, 1000)), 16_000),
        (one_node("Sigmoid", (1, 10, 10)), 400),
        (one_node("Flatten", (1, 10, 10)), 0),
        (one_node("Transpose", (1, 10, 10), {"perm": [0, 2, 1]}), 200),
        (one_node("Slice", (1, 10, 10), starts=ints(2), ends=ints(5), axes=ints(1)), 60),
        (one_node("Pad", (1, 10, 10), pads=ints(0, 1, 0, 0, 1, 0)), 240),
        (one_node("Conv", (1, 3, 8, 8), w=normal(4, 3, 3, 3)), 6 * 6 * 4 * 27),
        (one_node("Gemm", (2, 20), w=normal(20, 7)), 280),
        (one_node("GlobalAveragePool", (1, 6, 7, 8)), 6 * 7 * 8 * 4),
    ],
)
def test_operations(graph: Graph, expected: float) -> None:
    assert cpu_time.work(graph, graph.nodes[0]).operations == expected


def test_what_only_moves_takes_the_time_of_its_bytes() -> None:
    """A Concat, which once took none: 5 x 8 x 8 cells, each read and written."""
    shapes: dict[str, tuple[int, ...]] = {"a": (1, 3, 8, 8), "b": (1, 2, 8, 8)}
    graph = graph_of([Node("Concat", "c", ["a", "b"], ["y"], {"axis": 1})], shapes, ["y"])
    hardware = load_recipe("k210").hardware
    narrow, wide = (
        cpu_time.rows(graph, {"c": "cpu"}, {}, hardware, sizes)[0] for sizes in ({}, {"a": 2, "b": 2, "y": 2})
    )
    assert narrow["bytes_moved"] == narrow["operations"] == 2 * 320 and narrow["counted"] == "bytes moved"
    assert narrow["time_ms"] == pytest.approx(640 / rate("k210") * 1e3)
    assert wide["bytes_moved"] == 2 * narrow["bytes_moved"] and wide["time_ms"] == 2 * narrow["time_ms"]


def test_all_parts_of_a_split_are_moved() -> None:
    node = Node("Split", "s", ["x"], ["a", "b"], {"axis": 1})
    graph = graph_of([node], {"x": (1, 4, 5)}, ["a", "b"], {})
    assert cpu_time.work(graph, node).bytes == 2 * 20


def test_rows_are_those_on_the_cpu() -> None:
    nodes = [Node("Sigmoid", "a", ["x"], ["h"]), Node("Softmax", "b", ["h"], ["y"])]
    graph = graph_of(nodes, {"x": (1, 1000)}, ["y"])
    hardware = load_recipe("kl720").hardware
    (row,) = cpu_time.rows(graph, {"a": "npu", "b": "cpu"}, {"b": "not on the NPU"}, hardware)
    assert row == {
        "name": "b",
        "op": "Softmax",
        "reason": "not on the NPU",
        "operations": 16_000,
        "counted": "cells",
        "bytes_moved": 0,
        "time_ms": pytest.approx(16_000 / rate("kl720") * 1e3),
    }
    assert (
        cpu_time.rows(graph, {"a": "cpu", "b": "npu"}, {}, hardware)[0]["reason"] == "placed there on demand"
    )
