"""A chip of round numbers, small graphs, and their predictions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.npu.predicting.evaluation import to_json
from modelbuild.npu.predicting.prediction import Prediction, predict
from tests.quantize.cases import graph_of

# 1000 Hz, 8 MACs a cycle, 1 byte a cycle, nothing rounded up; engines take turns.
NUMBERS: dict[str, float] = {
    "clock_hz": 1000,
    "macs_per_cycle": 8,
    "macs_per_cycle_pointwise": 4,
    "macs_per_cycle_depthwise": 2,
    "wide_macs_factor": 0.5,
    "outputs_per_cycle": 1024,
    "elementwise_per_cycle": 2,
    "columns_at_once": 1,
    "pixels_at_once": 1,
    "input_channels_at_once": 1,
    "few_channels_at_once": 4,
    "output_channels_at_once": 1,
    "window_rows_at_once": 1,
    "window_columns_at_once": 1,
    "sram_bytes": 1 << 20,
    "tile_bytes": 1 << 16,
    "keeps_for_groups": 1,
    "interlock_bytes": 16,
    "dram_bytes": 1 << 26,
    "dram_read_bytes_per_second": 1000,
    "dram_write_bytes_per_second": 1000,
    "weight_bytes_per_second": 1000,
    "row_alignment_bytes": 1,
    "engines_at_once": 1,
    "layer_overhead_cycles": 7,
    "cpu_hz": 50,
    "cpu_operations_per_cycle": 2,
}


def chip(sure: str = "vendor", **changed: float) -> Recipe:
    """The chip with some numbers changed, all facts as sure as told."""
    data = load_recipe("kl720").model_dump(mode="json") | {"chip": "toy"}
    data["hardware"] = {
        name: {"value": float(value), "source": f"source of {name}", "sure": sure}
        for name, value in {**NUMBERS, **changed}.items()
    }
    return Recipe.model_validate_json(json.dumps(data))


def conv_graph(channels: int = 3, size: int = 5, outputs: int = 6) -> Graph:
    """x -> Conv 3x3 -> Relu -> y"""
    weights = {"w": np.zeros((outputs, channels, 3, 3), np.float32), "b": np.zeros(outputs, np.float32)}
    nodes = [
        Node("Conv", "c", ["x", "w", "b"], ["t"], {"pads": [1, 1, 1, 1]}, origin=("stem",)),
        Node("Relu", "r", ["t"], ["y"]),
    ]
    return graph_of(nodes, {"x": (1, channels, size, size)}, ["y"], weights)


def two_layers() -> Graph:
    """x -> MaxPool -> t -> Softmax -> y"""
    nodes = [
        Node("MaxPool", "p", ["x"], ["t"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        Node("Softmax", "s", ["t"], ["y"], {"axis": 1}),
    ]
    return graph_of(nodes, {"x": (1, 4, 8, 8)}, ["y"])


def predicted(
    graph: Graph, recipe: Recipe, options: Options | None = None, **units: str
) -> tuple[Prediction, dict[str, Any]]:
    """The prediction and its object; nodes that are not named run on the NPU."""
    placed = {node.name: units.get(node.name, "npu") for node in graph.nodes}
    found = predict(graph, placed, recipe, options)
    return found, to_json(found, {"s": "not on the NPU"})
