"""MACs by hand."""

from __future__ import annotations

from pathlib import Path

from modelbuild import importers
from modelbuild.graph.statistics import node_macs
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


def test_mobilenet_v2_has_300_million(shared_data: Path) -> None:
    found = importers.load(shared_data / "models/onnx/mobilenetv2.onnx")
    assert round(sum(node_macs(found, node) for node in found.nodes) / 1e6) == 301
