"""Linear Resize in a network: by the runtime's own function where it takes the same places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession
from tests.kpu.emitting import running
from tests.kpu.lowering.made import lowered
from tests.quantize.cases import F, graph_of, longs, normal

SHAPE = (1, 2, 6, 5)


def resized(mode: str, name: str, **constants: Any) -> Node:
    attributes = {"mode": "linear", "coordinate_transformation_mode": mode}
    inputs = ["x", "", name] if "scales" in name else ["x", "", "", name]
    return Node("Resize", f"{mode}_{name}", inputs, [f"{mode}_{name}"], attributes)


def graph() -> Graph:
    nodes = [
        resized(mode, name)
        for mode in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
        for name in ("up", "down", "odd_scales")
    ]
    constants = {
        "up": longs(1, 2, 12, 13),
        "down": longs(1, 2, 4, 1),
        "odd_scales": np.array([1, 1, 1.6, 2.3], F),
    }
    return graph_of(nodes, {"x": SHAPE}, [node.outputs[0] for node in nodes], constants)


@pytest.mark.parametrize("chip", ["k210", "nncase-cpu"])
def test_by_value_and_in_both_simulators(chip: str) -> None:
    sample = {"x": normal(*SHAPE)}
    made = lowered(graph(), chip, [sample])
    expected, found = FloatSession(made.graph).run(sample), made.outputs(sample)
    for name in made.graph.outputs:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=2e-6 * np.abs(sample["x"]).max())
    by_matrices = {name for each in made.kinds("matmul") for name in each.origin}
    assert by_matrices == {
        "half_pixel_odd_scales", "pytorch_half_pixel_odd_scales", "pytorch_half_pixel_down",
        "asymmetric_odd_scales",
    }  # fmt: skip
    assert made.count("resize_bilinear") == 8
    compiled = running.compiled(made.fixed)
    running.check_simulated(made.fixed, sample, compiled)
    if chip == "k210":
        running.check_judged(made.fixed, sample, compiled)
