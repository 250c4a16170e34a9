"""Predictions of kmodels: the object of evaluate.json, from graphs without samples."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from math import fsum
from pathlib import Path
from typing import Any

import pytest

from modelbuild import api, importers
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.check import place
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.kpu.predicting import advice
from modelbuild.kpu.predicting.prediction import Prediction, predict
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.stages.backends import of_arithmetic
from tests.kpu.lowering.made import conv, network, weights

ROOT = Path(__file__).parents[3]
DIGITS = ROOT / "examples/digits/models/digits.onnx"


@cache
def _graph(chip: str) -> Graph:
    graph, _ = normalise(importers.load(DIGITS, {}, ()))
    return run_passes(graph, load_recipe(chip, ROOT).passes)[0]


def _predicted(chip: str = "k210", options: Options | None = None, **units: str) -> Prediction:
    recipe, graph = load_recipe(chip, ROOT), _graph(chip)
    return predict(graph, {**place(graph, recipe).units, **units}, recipe, options)


def _said(found: Prediction) -> dict[str, Any]:
    predicting = of_arithmetic(found.recipe.number_format.arithmetic).predicting()
    return dict(predicting.said(found, {}, None))


@cache
def _digits() -> dict[str, Any]:
    return api.evaluate(DIGITS, "k210")


def test_it_has_the_keys_of_every_other_chip() -> None:
    other = api.evaluate(DIGITS, "kl720")
    assert set(_digits()) == set(other)
    assert set(_digits()["layers"][0]) == set(other["layers"][0])
    assert set(_digits()["cpu_nodes"][0]) >= {"name", "op", "reason", "operations", "counted", "time_ms"}
    assert set(_digits()["memory"]) == {*other["memory"], "kmodel"}
    json.dumps(_digits(), allow_nan=False)


def test_layers_are_those_of_the_kmodel() -> None:
    found = _predicted()
    layers = [step.operator for step in found.compiled.executed if step.name == "kpu_conv2d"]
    assert [layer["name"] for layer in _said(found)["layers"]] == layers
    assert len(layers) == len(set(layers)) == 10


def test_times_add_up() -> None:
    said = _digits()
    assert said["time_ms"] == pytest.approx(fsum(layer["time_ms"] for layer in said["layers"]))
    assert said["cpu_time_ms"] == pytest.approx(fsum(node["time_ms"] for node in said["cpu_nodes"]))
    assert said["total_ms"] == said["time_ms"] + said["cpu_time_ms"]
    for layer in said["layers"]:
        parts = ("compute", "read", "write", "weight", "overhead")
        assert layer["cycles"] == sum(layer[f"{part}_cycles"] for part in parts)
    assert said["layers"][-1]["end_cycle"] == said["cycles"]


def test_uploads_and_downloads_are_the_layers() -> None:
    """Each function uploads one map; what others read goes to main memory."""
    found = _predicted()
    rows = {
        row.function: [each for each in found.rows if each.function == row.function] for row in found.rows
    }
    for members in rows.values():
        assert [row.read_bytes > 0 for row in members] == [True, *[False] * (len(members) - 1)]
        assert members[-1].write_bytes > 0 and not members[-1].on_chip


def test_the_cpus_share_is_a_guess() -> None:
    said = _digits()
    assert (said["confidence"], said["confidence_because"]) == ("guess", "cpu_operations_per_cycle")
    assert {layer["confidence"] for layer in said["layers"]} == {"fitted"}


def test_a_clock_is_told() -> None:
    usual, slow = _predicted(), _predicted(options=Options(clock_hz=200e6))
    compute = sum(row.busy.compute for row in usual.rows)
    assert compute == sum(row.busy.compute for row in slow.rows)
    assert slow.ms(slow.cycles) > usual.ms(usual.cycles)


def test_the_clock_is_that_of_the_cpu_too_which_copies_and_computes() -> None:
    """Unless another rate is told beside it."""
    usual, fast = _said(_predicted()), _said(_predicted(options=Options(clock_hz=500e6)))
    for key in ("time_ms", "cpu_time_ms", "total_ms"):
        assert fast[key] == pytest.approx(usual[key] / 1.25, rel=1e-3)
    slow = _said(_predicted(options=Options(clock_hz=500e6, dram_write_bytes_per_second=11.7e6)))
    assert slow["time_ms"] > fast["time_ms"]
    (told,) = advice.to_json(_predicted(), usual["cpu_nodes"])["help"]
    assert told["change"] == "a clock faster by a quarter (--clock 500000000)"
    assert (told["time_ms"], told["total_ms"]) == (fast["time_ms"], pytest.approx(fast["total_ms"]))


@pytest.mark.parametrize("options", [Options(tiling="deep"), Options(batch=4)])
def test_what_a_kmodel_does_not_have_is_refused(options: Options) -> None:
    with pytest.raises(ModelbuildError, match="to choose"):
        _predicted(options=options)


def test_a_layer_that_does_not_fit_the_ram_is_divided() -> None:
    usual, less = _predicted(), _predicted(options=Options(sram_bytes=16_320))
    assert len(less.rows) == len(usual.rows) + 2 and not less.left_out  # two in two
    assert less.compiled.memory.sizes.kpu_ram <= 16_320 < usual.compiled.memory.sizes.kpu_ram


def test_a_layer_that_cannot_be_divided_is_estimated_and_says_why() -> None:
    found = _predicted(options=Options(sram_bytes=2_048))
    assert found.left_out and all("do not fit 2048 bytes" in why for why in found.left_out.values())


def test_where_nothing_is_left_the_reason_is_told() -> None:
    graph = network([conv("x", "y", "w")], (1, 8, 64, 64), weights(w=(8, 8, 3, 3)))
    recipe = load_recipe("k210", ROOT)
    with pytest.raises(ModelbuildError, match="any node of") as caught:
        predict(graph, place(graph, recipe).units, recipe, Options(sram_bytes=512))
    (problem,) = caught.value.problems
    assert problem.why is not None and "Conv 'conv_y': its input [1, 8, 64, 64]" in problem.why


def test_what_does_not_fit_has_a_speed() -> None:
    recipe = load_recipe("k210", ROOT)
    small = recipe.hardware.dram_bytes.model_copy(update={"value": 20_000.0})
    hardware = recipe.hardware.model_copy(update={"dram_bytes": small})
    graph = _graph("k210")
    tight = recipe.model_copy(update={"hardware": hardware})
    said = _said(predict(graph, place(graph, recipe).units, tight))
    assert said["fits"] is False and "20,000" in said["fits_because"]
    assert said["fps"] == pytest.approx(_digits()["fps"])


def test_the_file_is_nearly_as_long_as_predicted() -> None:
    """Constants are counted each, of which the outline's zeros are one."""
    assert 14_000 < _digits()["memory"]["kmodel"] < 19_000


def test_nodes_that_nothing_runs_are_listed_and_take_no_time() -> None:
    graph = _graph("k210")
    last = graph.nodes[-1].name
    said = _said(_predicted("k210", None, **{last: "none"}))
    assert [node["name"] for node in said["unsupported"]] == [last]
    assert last not in {node["name"] for node in said["cpu_nodes"]}
    assert said["total_ms"] < _digits()["total_ms"]


def test_a_node_that_nothing_lowers_is_estimated() -> None:
    graph = _graph("k210")
    last = graph.nodes[-1]
    strange = replace(graph, nodes=[*graph.nodes[:-1], replace(last, op="Strange")])
    recipe = load_recipe("k210", ROOT)
    found = predict(strange, place(graph, recipe).units, recipe)
    (node,) = (node for node in _said(found)["cpu_nodes"] if node["name"] == last.name)
    assert "no rule" in node["reason"] and node["time_ms"] > 0


def test_without_a_kpu_all_is_the_cpus() -> None:
    said = _said(_predicted("nncase-cpu"))
    assert (said["time_ms"], said["layers"], said["npu_fps"]) == (0.0, [], None)
    assert said["macs"] == sum(
        node["operations"] for node in said["cpu_nodes"] if node["counted"] == "multiplications"
    )


def test_every_node_is_listed_once() -> None:
    said = _digits()
    assert [node["name"] for node in said["nodes"]] == [node.name for node in _graph("k210").nodes]
    layers = {layer["name"] for layer in said["layers"]}
    assert all(node["layer"] in layers for node in said["nodes"] if node["type"] in ("npu", "fused"))


def test_the_least_traffic_is_what_the_kpu_reads_and_leaves_once() -> None:
    """A Concat of its maps stays in its RAM; the bytes of ports are those that they hold."""
    nodes = [conv("x", "a", "w"), conv("a", "b", "v"), Node("Concat", "c", ["a", "b"], ["d"], {"axis": 1})]
    shapes = {"w": (8, 3, 3, 3), "v": (8, 8, 3, 3), "u": (4, 16, 3, 3)}
    graph = network([*nodes, conv("d", "y", "u")], (1, 3, 16, 16), weights(**shapes))
    recipe = load_recipe("k210")
    units = place(graph, recipe).units
    ports = Options(ports={"outputs": {"y": "uint8"}})
    for options, output in ((Options(), 4), (ports, 1)):
        said = _said(predict(graph, units, recipe, options))
        cells = 16 * 16
        maps, weight_bytes = (3 + 4) * cells, said["dram"]["weights"]
        assert said["dram"]["read"] + said["dram"]["write"] == maps
        assert said["dram"]["compulsory"] == maps + weight_bytes and said["dram"]["ratio"] == 1
        assert (said["memory"]["input"], said["memory"]["output"]) == (12 * cells, 4 * output * cells)


def test_formats_are_those_that_the_chip_computes_with() -> None:
    formats = {
        chip: [_said(_predicted(chip))[key] for key in ("activations", "weights")]
        for chip in ("k210", "nncase-cpu")
    }
    assert formats == {"k210": ["uint8", "int8"], "nncase-cpu": ["float32", "float32"]}
