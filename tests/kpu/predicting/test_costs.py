"""What `check` says that a node on the CPU costs, held against what `evaluate` counts."""

from __future__ import annotations

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.graph.check import place
from modelbuild.graph.model import Node
from modelbuild.kpu.predicting.costs import cpu_times
from modelbuild.kpu.predicting.prediction import predict
from tests.kpu.lowering.made import conv, network, weights


def test_a_sum_costs_two_conversions_a_pass_and_a_conversion() -> None:
    nodes = [
        conv("x", "a", "w"),
        conv("a", "b", "v"),
        Node("Add", "sum", ["a", "b"], ["c"]),
        conv("c", "y", "u"),
    ]
    shapes = {"w": (8, 3, 3, 3), "v": (8, 8, 3, 3), "u": (4, 8, 3, 3)}
    graph, recipe = network(nodes, (1, 3, 16, 16), weights(**shapes)), load_recipe("k210")
    units = place(graph, recipe).units
    times, cells = cpu_times(graph, units, recipe), 8 * 16 * 16
    assert times == {"sum": pytest.approx((6 + 6 + 4 + 6) * cells / 200e6 * 1e3)}
    found = predict(graph, units, recipe)
    ports = 6 * (3 + 4) * 16 * 16  # conversions of the input and of the output are no node's
    whole = sum(found.cpu_ms(one.work.operations) for one in found.on_cpu)
    assert times["sum"] == pytest.approx(whole - found.cpu_ms(ports))


def test_a_model_that_cannot_be_timed_has_no_costs() -> None:
    graph = network([conv("x", "y", "w")], (1, 3, 2000, 2000), weights(w=(4, 3, 3, 3)))
    assert cpu_times(graph, {"conv_y": "npu"}, load_recipe("k210")) == {}
