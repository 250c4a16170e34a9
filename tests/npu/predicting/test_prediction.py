"""Predictions of small graphs worked out by hand, and what must hold for all."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.npu import compiler
from modelbuild.npu.planning.plan import Plan
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.predicting.assumptions import Options, assumed
from modelbuild.npu.predicting.prediction import predict
from tests.npu.predicted import NUMBERS, chip, conv_graph, predicted
from tests.quantize.cases import graph_of, normal, one_node


def said(graph: Graph, *arguments: Any, **units: str) -> dict[str, Any]:
    return predicted(graph, *arguments, **units)[1]


def test_a_map_between_neighbours_stays_on_the_chip() -> None:
    nodes = [Node("MaxPool", "p", ["x"], ["t"], {"kernel_shape": [1, 1]})]
    nodes.append(Node("Conv", "c", ["t", "w"], ["y"]))
    graph = graph_of(nodes, {"x": (1, 4, 8, 8)}, ["y"], {"w": normal(4, 4, 1, 1)})
    rows = said(graph, chip())["layers"]
    assert [row["on_chip"] for row in rows] == [True, False]
    assert [(row["dram_read"], row["dram_write"]) for row in rows] == [(256, 0), (0, 256)]


def test_what_the_chip_runs_without_a_fixed_form_is_estimated() -> None:
    attributes = {"mode": "cubic"}
    scales = np.array([1, 1, 2, 2], np.float32)
    graph = one_node("Resize", (1, 2, 4, 4), attributes, roi=np.zeros(0, np.float32), scales=scales)
    found = said(graph, chip())
    (row,) = found["layers"]
    assert row["estimated"] and (row["dram_read"], row["dram_write"]) == (32, 128)
    assert row["compute_cycles"] == 64 and found["cycles"] == row["cycles"] >= 64 + 32 + 128 + 7


def test_multiplications_without_a_fixed_form_are_estimated_too() -> None:
    graph = one_node("Conv", (1, 2, 4, 4, 4), w=normal(3, 2, 2, 2, 2))
    found = said(graph, chip())
    macs = 27 * 3 * 2 * 8
    assert found["macs"] == macs and found["layers"][0]["compute_cycles"] == macs // 8
    assert found["theoretical_ms"] == pytest.approx(macs / 8)


def test_a_fused_node_behind_the_cpu_is_a_layer_of_its_own() -> None:
    nodes = [Node("Softmax", "s", ["x"], ["t"]), Node("LeakyRelu", "l", ["t"], ["y"], {"alpha": 0.1})]
    found = said(graph_of(nodes, {"x": (1, 2, 4, 4)}, ["y"]), chip(), s="cpu", l="fused")
    assert [row["name"] for row in found["layers"]] == ["l"] and found["layers"][0]["unit"] == "npu"
    assert found["cycles"] == found["layers"][0]["cycles"] > 0


def test_a_batch_shares_the_weights() -> None:
    graph = one_node("Conv", (1, 64, 4, 4), w=np.zeros((64, 64, 3, 3), np.float32))
    one, four = (said(graph, chip(), Options(batch=batch)) for batch in (1, 4))
    assert four["dram"]["weights"] == one["dram"]["weights"]
    assert four["dram"]["read"] == 4 * one["dram"]["read"]
    assert four["time_ms"] < one["time_ms"] and four["macs"] == one["macs"]
    assert four["time_ms"] == pytest.approx(four["cycles"] / 4)
    assert four["batch"] == 4 and four["theoretical_ms"] == pytest.approx(one["theoretical_ms"])
    assert four["mac_utilisation"] > one["mac_utilisation"]


def test_a_batch_that_operators_refuse_is_told() -> None:
    graph = one_node("Reshape", (1, 6, 4), target=np.array([24]))
    graph.nodes.append(Node("Sigmoid", "g", ["y"], ["z"]))
    graph.outputs[:] = ["z"]
    graph.shapes["z"], graph.dtypes["z"] = graph.shapes["y"], graph.dtypes["y"]
    found = said(graph, chip(), Options(batch=4))
    assert found["batching"]["desired"] == 4 and found["batching"]["achieved"] == found["batch"] == 1
    assert "node" in found["batching"]["reasons"][0]


def test_a_batch_is_as_large_as_memory_allows() -> None:
    graph = one_node("Conv", (1, 64, 4, 4), w=np.zeros((64, 64, 3, 3), np.float32))
    needed = said(graph, chip(), Options(batch=8))["memory"]["dram_peak"]
    recipe = chip()
    small = recipe.model_copy(
        update={"container": recipe.container.model_copy(update={"max_model_bytes": needed})}
    )
    for tiling in ("default", "deep"):
        found = said(graph, small, Options(batch=9, tiling=tiling))
        assert (found["batch"], found["fits"]) == (8, True)
        assert found["batching"] == {
            "desired": 9,
            "achieved": 8,
            "reasons": [f"a batch of 8 fits the memory of {small.chip}, 9 does not"],
        }
        assert found["cycles"] == said(graph, recipe, Options(batch=8))["cycles"]


def test_the_models_own_batch_is_one_inference() -> None:
    weights = np.zeros((8, 4, 3, 3), np.float32)
    single, double = (one_node("Conv", (count, 4, 8, 8), w=weights) for count in (1, 2))
    own, widened = said(double, chip()), said(single, chip(), Options(batch=2))
    assert own["batch"] == widened["batch"] == 2 and own["cycles"] == widened["cycles"]
    assert own["time_ms"] == pytest.approx(2 * widened["time_ms"])
    assert own["memory"]["feature_maps_peak"] == 2 * widened["memory"]["feature_maps_peak"]
    assert widened["memory"]["feature_maps_peak"] == said(single, chip())["memory"]["feature_maps_peak"]


def test_bits_are_an_option() -> None:
    narrow = said(conv_graph(), chip())
    wide = said(conv_graph(), chip(), Options(activations="int16", weights="int16"))
    assert wide["layers"][0]["compute_cycles"] == pytest.approx(
        2 * narrow["layers"][0]["compute_cycles"], abs=1
    )
    assert wide["dram"]["read"] == 2 * narrow["dram"]["read"]
    assert (wide["activations"], wide["weights"]) == ("int16", "int16")
    assert wide["memory"]["input"] == 2 * narrow["memory"]["input"] and wide["dram"]["ratio"] == 1
    assert wide["layers"][0]["format_in"] == "4W4C8BHL"
    with pytest.raises(ModelbuildError, match="uint8 is not available"):
        said(conv_graph(), chip(), Options(activations="uint8"))


@pytest.mark.parametrize("name", ["k210", "nncase-cpu"])
def test_chips_of_another_number_system_are_predicted_too(name: str) -> None:
    recipe = load_recipe(name)
    found = said(conv_graph(), recipe, c="cpu" if name == "nncase-cpu" else "npu", r="cpu")
    assert found["total_ms"] > 0 and found["chip"] == name


def test_less_memory_on_the_chip_costs_traffic() -> None:
    nodes = [Node("Conv", f"c{i}", [f"t{i}", f"w{i}"], [f"t{i + 1}"], {"pads": [1] * 4}) for i in range(3)]
    weights = {f"w{i}": normal(16, 16, 3, 3) for i in range(3)}
    graph = graph_of(nodes, {"t0": (1, 16, 32, 32)}, ["t3"], weights)
    roomy, tight = (said(graph, chip(), Options(sram_bytes=size)) for size in (1 << 20, 12_000))
    assert tight["memory"]["sram"] == 12_000 and tight["memory"]["sram_peak"] <= 12_000
    assert tight["dram"]["total"] > roomy["dram"]["total"] and tight["cycles"] > roomy["cycles"]
    assert roomy["dram"]["ratio"] == 1


def test_an_output_may_lie_where_maps_were() -> None:
    """Two maps of a kind one after the other: the first one's memory is free when the second is made."""
    nodes = [Node("Conv", f"c{i}", [f"t{i}", f"w{i}"], [f"t{i + 1}"]) for i in range(3)]
    weights = {f"w{i}": normal(8, 8, 1, 1) for i in range(3)}
    graph = graph_of(nodes, {"t0": (1, 8, 48, 48)}, ["t3"], weights)
    own, shared = (
        said(graph, chip(sram_bytes=12_000), Options(dedicated_output_buffer=it))["memory"]["dram_peak"]
        for it in (True, False)
    )
    assert own - shared == 8 * 48 * 48


def test_a_layer_that_fits_nowhere_is_an_error() -> None:
    with pytest.raises(ModelbuildError, match="bytes of SRAM"):
        said(conv_graph(), chip(), Options(sram_bytes=64))
    with pytest.raises(ModelbuildError) as caught:
        said(conv_graph(), chip(), Options(sram_bytes=64))
    (problem,) = caught.value.problems
    assert problem.where == "compile.sram_bytes", "a place that is found in a manifest"
    assert "or remove it: toy has 1048576" in problem.advice


@pytest.mark.parametrize(
    "options",
    [Options(clock_hz=0), Options(batch=0), Options(weight_bytes_per_second=-1), Options(sram_bytes=0)],
)
def test_options_that_make_no_sense(options: Options) -> None:
    with pytest.raises(ModelbuildError, match="must be greater than 0"):
        said(conv_graph(), chip(), options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (Options(clock_hz=float("nan")), "greater than 0"),
        (Options(batch=5000), "at most 1024"),
        (Options(tiling="loose"), "is not a tiling"),
    ],
)
def test_other_options_that_make_no_sense(options: Options, why: str) -> None:
    with pytest.raises(ModelbuildError, match=why):
        assumed(chip(), options)


SIZES = st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(1, 24))
FASTER = [name for name in NUMBERS if name.startswith(("macs", "elementwise")) or name.endswith("per_second")]


@given(SIZES, st.sampled_from(FASTER))
def test_a_faster_part_never_makes_a_slower_chip(size: tuple[int, int, int], name: str) -> None:
    graph = conv_graph(*size)
    faster = said(graph, chip(**{name: 2 * NUMBERS[name]}))
    assert faster["cycles"] <= said(graph, chip())["cycles"]


@given(SIZES)
def test_twice_the_clock_is_never_slower_and_never_more_than_twice_as_fast(
    size: tuple[int, int, int],
) -> None:
    graph = conv_graph(*size)
    slow, fast = (said(graph, chip(), Options(clock_hz=clock))["time_ms"] for clock in (1000, 2000))
    assert slow / 2 * (1 - 1e-12) <= fast <= slow * (1 + 1e-12)


@given(SIZES)
def test_times_of_layers_add_up(size: tuple[int, int, int]) -> None:
    for engines in (1, 4):
        found = predict(conv_graph(*size), {"c": "npu", "r": "npu"}, chip(engines_at_once=engines))
        assert sum(row.cycles for row in found.npu) == found.cycles
        assert all(astuple(row.busy) >= (0,) * 5 for row in found.npu)


def test_each_tiling_is_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deep tiling needs the default's plan, too, which is the one that its prediction stands beside."""
    planned: list[bool] = []

    def counted(*given: Any, deep: bool = False, **more: Any) -> Plan:
        planned.append(deep)
        return plan(*given, deep=deep, **more)

    monkeypatch.setattr(compiler, "plan", counted)
    graph, units = conv_graph(), {"c": "npu", "r": "npu"}
    found = predict(graph, units, chip(), Options(tiling="deep"))
    assert planned == [False, True] and found.default is not None
    default = predict(graph, units, chip())
    assert (found.default, default.default) == (default.counted.compiled, None)


@pytest.mark.parametrize("wanted", ["float32", ["float32"], ["float32", "int16"]])
def test_floats_count_as_the_chips_usual_numbers(wanted: object) -> None:
    """A recipe whose only format is float32 has its targets' settings say so."""
    number_format = chip().number_format.model_copy(update={"activations": ("float32", "int16")})
    recipe = chip().model_copy(update={"number_format": number_format})
    asked = Options(activations=wanted)  # type: ignore[arg-type]
    graph, units = conv_graph(), {"c": "npu", "r": "npu"}
    found, usual = (predict(graph, units, recipe, options) for options in (asked, Options()))
    assert found.formats.activation.name == usual.formats.activation.name == "int16"
    assert found.cycles == usual.cycles
