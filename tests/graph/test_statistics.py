"""MACs by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modelbuild import importers
from modelbuild.graph.statistics import macs_by_origin, node_macs
from tests.graph.small import graph, numbers


def test_macs_a_node() -> None:
    found = graph(
        [
            ("Conv", "x w b", "a", {"pads": [1, 1, 1, 1], "group": 2}),  # 6x4x4 outputs, 1x3x3 each
            ("ConvTranspose", "a v", "c", {"strides": [2, 2]}),  # 6x4x4 inputs, 3x2x2 each
            ("Flatten", "c", "d"),  # 3x8x8
            ("Gemm", "d m", "e", {"transB": 1}),
            ("MatMul", "e n", "y"),
        ],
        {
            "w": numbers(6, 1, 3, 3),
            "b": numbers(6),
            "v": numbers(6, 3, 2, 2),
            "m": numbers(5, 192),
            "n": numbers(5, 2),
        },
    )
    assert [node_macs(found, node) for node in found.nodes] == [96 * 9, 96 * 12, 0, 5 * 192, 2 * 5]


def test_macs_by_what_nodes_come_from() -> None:
    found = graph(
        [("Gemm", "x m", "a"), ("Gemm", "a m", "b"), ("Gemm", "b m", "c"), ("Relu", "c", "y")],
        {"m": numbers(4, 4)},
        x=(1, 4),
    )
    first, second, third, _ = found.nodes
    nodes = [replace(first, origin=("p", "q")), replace(second, origin=("p",)), third, found.nodes[3]]
    assert macs_by_origin(replace(found, nodes=nodes)) == {"p": 32, third.name: 16}


def test_mobilenet_v2_has_300_million(shared_data: Path) -> None:
    found = importers.load(shared_data / "models/onnx/mobilenetv2.onnx")
    assert round(sum(node_macs(found, node) for node in found.nodes) / 1e6) == 301
