"""A small network with all that formats have to pass through, and quantization by any mode."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from modelbuild.chips.load import load_recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.apply import apply
from modelbuild.quantize.goals import OF_CLASSES
from modelbuild.quantize.mixed import quantize_mixed
from modelbuild.quantize.mixed_measure import OutputMeter
from modelbuild.quantize.mixed_search import Goal
from modelbuild.quantize.observe import Observations, observe
from modelbuild.quantize.record import Record
from modelbuild.quantize.settings import Settings
from tests.quantize.cases import Sample, graph_of, normal, samples_of


def network() -> Graph:
    """Convolutions, a residual sum, a concatenation, a pool, a table and a product."""
    nodes = [
        Node("Conv", "first", ["x", "w1", "b1"], ["a"], {"pads": [1, 1, 1, 1]}),
        Node("Relu", "relu", ["a"], ["b"]),
        Node("Conv", "deep", ["b", "w2"], ["c"], {"pads": [1, 1, 1, 1], "group": 8}),
        Node("Add", "sum", ["b", "c"], ["d"]),
        Node("MaxPool", "pool", ["d"], ["e"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        Node("Conv", "left", ["e", "w3"], ["f"]),
        Node("Sigmoid", "curve", ["f"], ["g"]),
        Node("Conv", "right", ["e", "w4"], ["h"]),
        Node("Concat", "join", ["g", "h"], ["i"], {"axis": 1}),
        Node("Mul", "scale", ["i", "factors"], ["j"]),
        Node("GlobalAveragePool", "mean", ["j"], ["k"]),
        Node("Flatten", "flat", ["k"], ["l"], {"axis": 1}),
        Node("Gemm", "dense", ["l", "w5"], ["y"]),
    ]
    constants = {
        "w1": normal(8, 3, 3, 3),
        "b1": normal(8, seed=2),
        "w2": normal(8, 1, 3, 3, seed=3),
        "w3": normal(6, 8, 1, 1, seed=4),
        "w4": normal(6, 8, 1, 1, seed=5),
        "factors": normal(1, 12, 4, 4, seed=6),
        "w5": normal(12, 5, seed=7),
    }
    return graph_of(nodes, {"x": (1, 3, 8, 8)}, ["y"], constants)


WEIGHTS = ("w1", "w2", "w3", "w4", "w5")
NODES = {"first": "w1", "deep": "w2", "left": "w3", "right": "w4", "dense": "w5"}


def samples() -> list[Sample]:
    return samples_of(network(), 24)


@cache
def observations() -> Observations:
    return observe(network(), samples())


def quantized(
    settings: dict[str, Any],
    chip: str = "kl720",
    accept: dict[str, Any] | None = None,
    units: dict[str, str] | None = None,
) -> Record:
    recipe = load_recipe(chip)
    goal = None if accept is None else Goal(accept, meter(chip, classes=bool({*accept} & {*OF_CLASSES})))
    return quantize_mixed(
        network(), observations(), Settings.read(settings), recipe.number_format, goal, units
    )


def meter(chip: str = "kl720", **further: Any) -> OutputMeter:
    recipe = load_recipe(chip)
    return OutputMeter(network(), samples(), lambda record: apply(network(), {}, record, recipe), **further)


def snr(record: Record, chip: str = "kl720") -> float:
    return float(meter(chip)(record)["outputs"][0]["snr_db"])


def types(record: Record) -> dict[str, str]:
    return {line.name: line.type for line in record.tensors}


def wide(record: Record) -> set[str]:
    return {name for name, form in types(record).items() if form == "int16"}


def integers(sample: Sample, record: Record) -> dict[str, np.ndarray[Any, Any]]:
    lines = record.by_name()
    found = {}
    for name, values in sample.items():
        line = lines[name]
        assert line.scale is not None and line.zero_point is not None
        low = -(1 << (line.bits - 1))
        steps = np.rint(values / line.scale) + line.zero_point
        found[name] = np.clip(steps, low, -low - 1).astype(f"int{line.bits}")
    return found
