"""The columns of one layer, and Kneron's names of how its maps lie in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.npu.predicting.layer_columns import layer, map_format
from modelbuild.npu.predicting.predicted_layers import Map
from modelbuild.npu.predicting.prediction import predict
from tests.npu.predicted import chip, conv_graph, predicted
from tests.quantize.cases import graph_of, normal


def said(graph: Graph, *arguments: Any, **units: str) -> dict[str, Any]:
    return predicted(graph, *arguments, **units)[1]


def test_one_convolution_by_hand() -> None:
    found = said(conv_graph(), chip())
    (row,) = found["layers"]
    weights = row["weights"]
    compute = -(-25 * 9 * 3 * 6 // 8)
    cycles = compute + 75 + 150 + weights + 7
    expected = {
        "name": "c",
        "op": "Conv",
        "origin": ["stem", "r"],
        "unit": "npu",
        "macs": 25 * 9 * 18,
        "cycles": cycles,
        "compute_cycles": compute,
        "mac_cycles": compute,
        "read_cycles": 75,
        "write_cycles": 150,
        "weight_cycles": weights,
        "overhead_cycles": 7,
        "stall_cycles": cycles - compute,
        "time_ms": pytest.approx(cycles),
        "mac_ms": pytest.approx(compute),
        "pfunc_ms": 0.0,
        "runtime_ms": pytest.approx(compute + 225),
        "dram_read": 75,
        "dram_write": 150,
        "bound": "compute",
        "tiles": 1,
        "on_chip": False,
        "bits_in": 8,
        "bits_out": 8,
        "bits_weight": 8,
        "node_backend": "npu_fusion_node_c_r",
        "command_index": 0,
        "estimated": False,
    }
    assert {key: row[key] for key in expected} == expected
    assert 6 * 27 <= weights <= 6 * 27 + 6 * 32
    assert (found["model"], found["chip"], found["cycles"], found["macs"]) == ("small", "toy", cycles, 4050)
    assert found["time_ms"] == found["total_ms"] == found["time_no_overlap_ms"] == pytest.approx(cycles)
    assert found["fps"] == found["npu_fps"] == pytest.approx(1000 / cycles)
    assert found["theoretical_ms"] == pytest.approx(4050 / 8)
    assert found["mac_utilisation"] == pytest.approx(4050 / 8 / cycles)
    assert (found["running_ms"], found["idle_ms"]) == pytest.approx((compute, cycles - compute))
    assert found["stalls"]["cycles"] == cycles - compute
    assert (found["cpu_time_ms"], found["cpu_nodes"], found["unsupported"]) == (0, [], [])
    dram = found["dram"]
    assert (dram["read"], dram["write"], dram["weights"]) == (75, 150, weights)
    assert dram["total"] == dram["compulsory"] == 225 + weights and dram["ratio"] == 1
    assert dram["bandwidth_average"] == pytest.approx((225 + weights) / (cycles / 1000))
    memory = found["memory"]
    assert (memory["input"], memory["output"], memory["weights"]) == (75, 150, weights)
    assert memory["feature_maps_peak"] == 225 and memory["sram"] == 1 << 20 and found["fits"]
    assert 225 + weights <= memory["sram_peak"] < 1000 and memory["dram_peak"] >= 225 + weights
    assert found["batch"] == 1 and found["batching"] == {"desired": None, "achieved": 1, "reasons": []}


def test_fused_nodes_belong_to_their_layer() -> None:
    nodes = [
        Node("Conv", "c", ["x", "w"], ["t"]),
        Node("LeakyRelu", "l", ["t"], ["u"], {"alpha": 0.1}),
        Node("Sigmoid", "g", ["u"], ["v"]),
        Node("Mul", "m", ["u", "v"], ["y"]),
    ]
    graph = graph_of(nodes, {"x": (1, 2, 4, 4)}, ["y"], {"w": normal(4, 2, 1, 1)})
    rows = said(graph, chip(), l="fused")["layers"]
    assert [(row["name"], row["origin"]) for row in rows] == [("c", ["c", "l"]), ("g", ["g", "m"])]
    assert rows[0]["command_index"] == rows[1]["command_index"] == 0
    assert rows[0]["node_backend"] == rows[1]["node_backend"] == "npu_fusion_node_c_l_g_m"
    assert rows[0]["pfunc_ms"] == 0 < rows[0]["cfunc_ms"] and rows[1]["pfunc_ms"] > 0


def joined(left: int, right: int) -> Graph:
    """Two convolutions of so many channels each, put together."""
    nodes = [
        Node("Conv", "l", ["x", "v"], ["a"]),
        Node("Conv", "r", ["x", "w"], ["b"]),
        Node("Concat", "j", ["a", "b"], ["y"], {"axis": 1}),
    ]
    weights = {"v": normal(left, 4, 1, 1), "w": normal(right, 4, 1, 1)}
    return graph_of(nodes, {"x": (1, 4, 6, 6)}, ["y"], weights)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [(16, 32, "1W16C8B"), (4, 32, "4W4C8B:a \\ 1W16C8B:b"), (32, 2, "1W16C8B:a \\ 4W4C8B:b")],
)
def test_formats_of_several_inputs(left: int, right: int, expected: str) -> None:
    row = said(joined(left, right), load_recipe("kl720"))["layers"][-1]
    assert (row["name"], row["format_in"], row["format_out"], row["bits_in"]) == ("j", expected, "1W16C8B", 8)


def test_bits_and_formats_are_listed_where_they_differ() -> None:
    """As Kneron's report has them: the only one, or which is whose."""
    row = predict(joined(16, 16), dict.fromkeys("lrj", "npu"), load_recipe("kl720")).npu[-1]
    wide = [replace(each, bits=16 if each.name == "b" else 8) for each in row.inputs]
    found = predict(joined(16, 16), dict.fromkeys("lrj", "npu"), load_recipe("kl720"))
    told = layer(found, replace(row, inputs=(*wide, Map("c", 16, 8))), None)
    assert told["bits_in"] == "8:a,c \\ 16:b" and told["bits_out"] == 8
    assert told["format_in"] == "1W16C8B:a,c \\ 1W16C8BHL:b"


@pytest.mark.parametrize(
    ("chip_name", "channels", "bits", "expected"),
    [
        ("kl520", 64, 8, "16W1C8B"),
        ("kl520", 3, 8, "4W4C8B"),
        ("kl720", 64, 8, "1W16C8B"),
        ("kl720", 64, 16, "1W16C8BHL"),
        ("modalix", 64, 8, None),
    ],
)
def test_formats_of_maps(chip_name: str, channels: int, bits: int, expected: str | None) -> None:
    assert map_format(load_recipe(chip_name), channels, bits) == expected


def test_few_channels_are_as_the_recipe_says() -> None:
    recipe = load_recipe("kl720")
    few = recipe.hardware.few_channels_at_once.model_copy(update={"value": 2})
    hardware = recipe.hardware.model_copy(update={"few_channels_at_once": few})
    own = recipe.model_copy(update={"hardware": hardware})
    assert [map_format(own, channels, 8) for channels in (2, 3)] == ["8W2C8B", "1W16C8B"]
