"""What `check` says that a node on the CPU costs, held against what `evaluate` counts."""

from __future__ import annotations

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.graph.check import place
from modelbuild.graph.model import Node
from modelbuild.kpu.predicting.costs import checked
from modelbuild.kpu.predicting.evaluation import memory
from modelbuild.kpu.predicting.prediction import predict
from tests.kpu.lowering.made import conv, network, weights


def test_a_product_costs_two_conversions_a_pass_and_a_conversion() -> None:
    nodes = [
        conv("x", "a", "w"),
        conv("a", "b", "v"),
        Node("Mul", "product", ["a", "b"], ["c"]),
        conv("c", "y", "u"),
    ]
    shapes = {"w": (8, 3, 3, 3), "v": (8, 8, 3, 3), "u": (4, 8, 3, 3)}
    graph, recipe = network(nodes, (1, 3, 16, 16), weights(**shapes)), load_recipe("k210")
    units = place(graph, recipe).units
    (times, total, over), cells = checked(graph, units, recipe), 8 * 16 * 16
    functions, copies = (6 + 6 + 4 + 6) / 200e6, 2 / 11.7e6 + 1 / 15.1e6
    assert times == {"product": pytest.approx((functions + copies) * cells * 1e3, rel=1e-3)} and over is None
    found = predict(graph, units, recipe)
    ports = found.cpu_ms(6 * (3 + 4) * 16 * 16)  # conversions of input and output are no node's, nor
    ports += 1e3 * 16 * 16 * (3 / 15.1e6 + 4 / 11.7e6)  # their copies
    layers = sum(row.busy.compute + row.busy.weights + row.busy.overhead for row in found.rows)
    assert total is not None
    assert times["product"] == pytest.approx(total - ports - found.ms(layers), rel=1e-3)


def test_what_no_build_can_lower_is_an_error() -> None:
    graph = network([conv("x", "y", "w")], (1, 1100, 8, 8), weights(w=(4, 1100, 3, 3)))
    times, total, found = checked(graph, {"conv_y": "npu"}, load_recipe("k210"))
    assert (times, total) == ({}, None) and found is not None
    assert (found.code, found.severity) == ("MB120", "error")
    assert found.message.startswith("no kmodel for k210 can have any node of ")
    assert "Conv 'conv_y': " in found.message and found.advice


def test_a_node_that_the_lowering_refuses_is_an_error_that_names_it() -> None:
    nodes = [conv("x", "a", "w"), conv("a", "y", "v")]
    shapes = {"w": (1100, 3, 3, 3), "v": (4, 1100, 3, 3)}
    graph, recipe = network(nodes, (1, 3, 8, 8), weights(**shapes)), load_recipe("k210")
    _, total, found = checked(graph, {node.name: "npu" for node in nodes}, recipe)
    assert found is not None and total
    assert (found.code, found.severity, found.node) == ("MB120", "error", "conv_y")
    assert found.message.startswith("Conv `conv_y`: no kmodel for k210 can have it: ") and found.advice


def test_a_map_on_the_cpu_that_general_ram_does_not_hold() -> None:
    """The pools are those of `evaluate`; constants are counted once: no more than a build has."""
    graph, recipe = (
        network([conv("x", "y", "w", group=32)], (1, 32, 257, 320), weights(w=(32, 1, 3, 3))),
        load_recipe("k210"),
    )
    units = place(graph, recipe).units
    assert units == {"conv_y": "cpu"}
    _, _, over = checked(graph, units, recipe)
    assert over is not None and (over.code, over.severity) == ("MB119", "error")
    needed = int(over.message.split(" needs ")[1].split(" ")[0].replace(",", ""))
    assert 2 * 32 * 257 * 320 * 4 < needed <= memory(predict(graph, units, recipe))["dram_peak"]
    assert f"k210 has {6 << 20:,}: the kmodel" in over.message
