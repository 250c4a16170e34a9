"""What the object of evaluate.json tells of a prediction: times, bounds, traffic, and what is not counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.statistics import macs_by_origin
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.npu.predicting.evaluation import to_json
from modelbuild.npu.predicting.layer_columns import added_macs
from modelbuild.npu.predicting.prediction import predict
from tests.npu.predicted import chip, conv_graph, predicted, two_layers
from tests.quantize.cases import graph_of, normal, one_node


def said(graph: Graph, *arguments: Any, **units: str) -> dict[str, Any]:
    return predicted(graph, *arguments, **units)[1]


@pytest.mark.parametrize(
    ("changed", "bound"),
    [
        ({"dram_write_bytes_per_second": 10}, "dma"),
        ({"dram_read_bytes_per_second": 5}, "dma"),
        ({"weight_bytes_per_second": 10}, "weights"),
        ({"layer_overhead_cycles": 5000}, "overhead"),
        ({"macs_per_cycle": 1}, "compute"),
    ],
)
def test_the_bound_is_the_largest_part(changed: dict[str, float], bound: str) -> None:
    found = said(conv_graph(), chip(**changed))
    assert found["layers"][0]["bound"] == found["bound"] == bound


def test_engines_at_once_overlap() -> None:
    apart, at_once = (said(conv_graph(8, 40, 8), chip(engines_at_once=n)) for n in (1, 4))
    assert apart["overlap_saved_ms"] == 0 < at_once["overlap_saved_ms"]
    assert at_once["time_ms"] < apart["time_ms"] == pytest.approx(apart["time_no_overlap_ms"])
    assert at_once["cycles"] >= max(at_once["layers"][0][f"{name}_cycles"] for name in ("compute", "read"))
    for found in (apart, at_once):
        assert sum(row["cycles"] for row in found["layers"]) == found["cycles"]
        assert found["running_ms"] + found["idle_ms"] == pytest.approx(found["time_ms"])
        assert found["stalls"]["time_ms"] == pytest.approx(found["idle_ms"])


def test_cpu_nodes_are_timed_apart_and_say_why() -> None:
    found = said(two_layers(), chip(), s="cpu")
    assert found["cpu_nodes"] == [
        {
            "name": "s",
            "op": "Softmax",
            "reason": "not on the NPU",
            "operations": 64 * 16,
            "counted": "cells",
            "bytes_moved": 0,
            "time_ms": pytest.approx(64 * 16 * 10),
        }
    ]
    rate = {"cpu_hz": "source of cpu_hz", "cpu_operations_per_cycle": "source of cpu_operations_per_cycle"}
    assert found["cpu_rate"] == {"operations_per_second": 100, "sure": "vendor", "sources": rate}
    assert said(two_layers(), chip())["cpu_rate"] is None
    assert [row["name"] for row in found["layers"]] == ["p"]
    assert found["total_ms"] == pytest.approx(found["time_ms"] + 10240)
    assert found["fps"] == pytest.approx(1000 / found["total_ms"])
    assert found["npu_fps"] == pytest.approx(1000 / found["time_ms"])


def test_a_model_without_npu_work_has_no_npu_speed() -> None:
    found = said(two_layers(), chip(), p="cpu", s="cpu")
    assert (found["npu_fps"], found["time_ms"], found["layers"]) == (None, 0, [])
    assert found["mac_utilisation"] is None and found["dram"]["bandwidth_average"] is None


def test_what_nothing_runs_takes_no_time_and_is_listed() -> None:
    found = said(two_layers(), chip(), s="none")
    assert found["unsupported"] == [{"name": "s", "op": "Softmax", "reason": "not on the NPU"}]
    assert [row["name"] for row in found["layers"]] == ["p"] and found["cpu_nodes"] == []


def test_what_deep_tiling_brings() -> None:
    nodes = [Node("Conv", f"c{i}", [f"t{i}", f"w{i}"], [f"t{i + 1}"], {"pads": [1] * 4}) for i in range(3)]
    graph = graph_of(nodes, {"t0": (1, 8, 48, 48)}, ["t3"], {f"w{i}": normal(8, 8, 3, 3) for i in range(3)})
    plain, deep = (said(graph, chip(sram_bytes=16_000), Options(tiling=t)) for t in ("default", "deep"))
    assert plain["deep"] is None and deep["tiling"] == "deep"
    told = deep["deep"]
    assert told["default_time_ms"] == pytest.approx(plain["time_ms"])
    assert told["saves_ms"] == pytest.approx(plain["time_ms"] - deep["time_ms"]) and told["saves_ms"] > 0
    assert told["saves_bytes"] == plain["dram"]["total"] - deep["dram"]["total"] > 0
    assert told["default_groups"] == plain["groups"] > deep["groups"] and told["taken"]
    assert told["reason"] == ""


def test_deep_tiling_that_brings_nothing_is_not_taken() -> None:
    graph = graph_of(
        [Node("Conv", "c", ["x", "w"], ["y"])], {"x": (1, 2, 4, 4)}, ["y"], {"w": normal(4, 2, 1, 1)}
    )
    found = said(graph, chip(), Options(tiling="deep"))
    assert found["deep"]["reason"].startswith("deep tiling ")
    assert found["tiling"] == "deep" and not found["deep"]["taken"] and found["deep"]["saves_ms"] == 0


def test_a_model_that_exceeds_the_drams_room_is_predicted_and_told() -> None:
    found = said(conv_graph(), chip(dram_bytes=100))
    assert not found["fits"] and found["memory"]["room"] == 100 and found["cycles"] > 0
    peak = found["memory"]["dram_peak"]
    assert found["fits_because"].startswith(f"small needs {peak:,} bytes of DRAM; toy has 100: ")
    assert "weights" in found["fits_because"]
    held = said(conv_graph(), chip(dram_bytes=peak))
    assert held["fits"] and held["fits_because"] is None


def test_energy_is_power_times_time() -> None:
    recipe = chip()
    assert said(conv_graph(), recipe)["energy_mj"] is None
    power = recipe.hardware.clock_hz.model_copy(update={"value": 0.5, "source": "a data sheet"})
    hardware = recipe.hardware.model_copy(update={"power_watts": power})
    found = said(conv_graph(), recipe.model_copy(update={"hardware": hardware}))
    assert found["energy_mj"] == pytest.approx(0.5 * found["time_ms"])
    assert found["energy_because"] == "a data sheet"


def test_utilisation_is_of_the_peak_for_the_kind_of_layer() -> None:
    """The toy chip multiplies 8, 4 and 2 at once: with a window, of one cell, and of each channel alone."""
    graphs = {
        8: conv_graph(8, 16, 8),
        4: one_node("Conv", (1, 8, 16, 16), w=normal(8, 8, 1, 1)),
        2: one_node("Conv", (1, 8, 16, 16), {"group": 8}, w=normal(8, 1, 3, 3)),
    }
    for peak, graph in graphs.items():
        found = said(graph, chip())
        (row,) = found["layers"]
        share = row["macs"] / peak / row["cycles"]
        assert row["utilisation"] == pytest.approx(share) == pytest.approx(found["mac_utilisation"])
        assert found["theoretical_ms"] == pytest.approx(found["mac_utilisation"] * found["time_ms"])
        assert row["compute_cycles"] == row["macs"] // peak  # all of the peak while it computes
        assert found["theoretical_ms"] == pytest.approx(found["running_ms"])


@pytest.mark.parametrize("batch", [None, 4])
def test_zeros_that_a_transposed_convolution_multiplies_are_executed(batch: int | None) -> None:
    """2x2 windows over 8x8 cells: 8x8x3x5x4 of the model; a 16x16 output of 2x2 windows each executed."""
    graph = one_node("ConvTranspose", (1, 3, 8, 8), {"strides": [2, 2]}, w=normal(3, 5, 2, 2))
    own, executed = 8 * 8 * 3 * 5 * 4, 16 * 16 * 3 * 5 * 4
    found = predict(graph, {"node": "npu"}, chip(), Options(batch=batch))
    said = to_json(found, {}, macs_by_origin(graph))
    (row,) = said["layers"]
    assert (said["macs"], said["macs_npu"], said["macs_source"]) == (executed, executed, own)
    assert (row["macs"], row["macs_added"]) == (executed, executed - own)
    assert said["theoretical_ms"] == pytest.approx(executed / 8)
    assert 0.9 < row["macs"] * (batch or 1) / 8 / row["mac_cycles"] <= 1


def test_a_transposed_convolution_on_the_cpu_has_its_own_multiplications() -> None:
    graph = one_node("ConvTranspose", (1, 3, 8, 8), {"strides": [2, 2]}, w=normal(3, 5, 2, 2))
    said = predicted(graph, chip(), node="cpu")[1]
    assert (said["macs"], said["macs_npu"], said["layers"]) == (8 * 8 * 3 * 5 * 4, 0, [])


def test_layers_of_one_origin_share_its_multiplications() -> None:
    graph = conv_graph()
    found = predict(graph, dict.fromkeys("cr", "npu"), chip())
    for source, added in (({"stem": 4050}, 0), ({"stem": 50}, 4000), ({"stem": 9999}, 0), ({}, 4050)):
        said = to_json(found, {}, source)
        assert said["layers"][0]["macs_added"] == added and said["macs_source"] == sum(source.values())
    (row,) = found.npu
    twice = added_macs((row, replace(row, name="d")), {"stem": 5000})
    assert twice == {"c": 0, "d": 3100}
    assert to_json(found, {})["layers"][0]["macs_added"] is None


def test_kinds_of_layers_share_one_utilisation() -> None:
    nodes = [Node("Conv", "c", ["x", "v"], ["t"]), Node("Conv", "d", ["t", "w"], ["y"])]
    weights = {"v": normal(8, 4, 1, 1), "w": normal(8, 8, 3, 3)}
    found = said(graph_of(nodes, {"x": (1, 4, 12, 12)}, ["y"], weights), chip())
    least = sum(row["macs"] / peak for row, peak in zip(found["layers"], (4, 8), strict=True))
    assert found["mac_utilisation"] == pytest.approx(least / found["cycles"])


def test_what_packed_weights_would_save_is_not_counted_and_told() -> None:
    plain, packed = (said(conv_graph(), chip(), Options(weight_compress=it)) for it in (False, True))
    assert plain["weight_compress"] == {"wanted": False, "counted": "unpacked", "because": None}
    told = packed["weight_compress"]
    assert told["wanted"] and told["counted"] == "unpacked" and "an upper bound" in told["because"]
    assert packed["dram"] == plain["dram"] and packed["cycles"] == plain["cycles"]
    vendors = [
        said(conv_graph(), load_recipe(name))["weight_compress"]["wanted"] for name in ("kl720", "mlsoc")
    ]
    assert vendors == [False, True]


def test_bandwidths_are_those_that_were_counted_with() -> None:
    recipe = chip(dram_write_bytes_per_second=300, weight_bytes_per_second=200)
    dram = said(conv_graph(), recipe, Options(dram_read_bytes_per_second=100))["dram"]
    names = ("read_bandwidth", "write_bandwidth", "weight_bandwidth")
    assert [dram[name] for name in names] == [100, 300, 200]


def test_a_node_that_nothing_runs_has_a_reason_in_any_case() -> None:
    graph = two_layers()
    found = predict(graph, {"p": "npu", "s": "none"}, chip())
    (node,) = to_json(found, {})["unsupported"]
    assert node["reason"] == "nothing on the chip runs it"
