"""MACs and parameters by hand."""

from __future__ import annotations

from pathlib import Path

from modelbuild import importers
from modelbuild.graph import statistics
from tests.graph.small import graph, numbers


def test_macs_and_parameters_a_node() -> None:
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
    assert list(statistics.macs(found).values()) == [96 * 9, 96 * 12, 0, 5 * 192, 2 * 5]
    assert list(statistics.parameters(found).values()) == [60, 72, 0, 960, 10]


def test_mobilenet_v2_has_300_million(shared_data: Path) -> None:
    found = importers.load(shared_data / "models/onnx/mobilenetv2.onnx")
    assert round(sum(statistics.macs(found).values()) / 1e6) == 301
