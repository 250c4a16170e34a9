"""Times of small graphs computed by hand, and what must hold for all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.check import place
from modelbuild.graph.model import Graph, Node
from modelbuild.npu.cost import Options, evaluate

# A chip of round numbers: 100 Hz, 10 MACs a cycle, groups of 4 channels and 2 columns, 1 byte a cycle.
NUMBERS: dict[str, float] = {
    "clock_hz": 100,
    "macs_per_cycle": 10,
    "macs_per_cycle_pointwise": 5,
    "macs_per_cycle_depthwise": 2,
    "input_channels_at_once": 4,
    "output_channels_at_once": 4,
    "columns_at_once": 2,
    "elementwise_per_cycle": 8,
    "sram_bytes": 1,
    "dram_bytes": 1000,
    "dram_read_bytes_per_second": 100,
    "dram_write_bytes_per_second": 100,
    "weight_bytes_per_second": 100,
    "layer_overhead_cycles": 7,
    "cpu_hz": 50,
    "cpu_operations_per_cycle": 2,
    # what this model of the chip does not look at
    "wide_macs_factor": 1,
    "outputs_per_cycle": 1,
    "pixels_at_once": 1,
    "window_rows_at_once": 1,
    "window_columns_at_once": 1,
    "tile_bytes": 1,
    "keeps_for_groups": 0,
    "interlock_bytes": 16,
    "row_alignment_bytes": 1,
    "engines_at_once": 1,
}


def chip(sure: str = "vendor", **changed: float) -> Recipe:
    facts = {
        name: {"value": value, "source": "test", "sure": sure}
        for name, value in {**NUMBERS, **changed}.items()
    }
    data = load_recipe("kl720").model_dump(mode="json") | {"chip": "toy"}
    data["hardware"] = facts
    return Recipe.model_validate_json(json.dumps(data))


def conv_graph(channels: int = 3, size: int = 5, outputs: int = 6) -> Graph:
    """x -> Conv 3x3 -> Relu -> y"""
    constants = {
        "w": np.zeros((outputs, channels, 3, 3), np.float32),
        "b": np.zeros(outputs, np.float32),
    }
    nodes = [
        Node("Conv", "c", ["x", "w", "b"], ["t"], {"pads": [1, 1, 1, 1]}, origin=("stem",)),
        Node("Relu", "r", ["t"], ["y"]),
    ]
    out = (1, outputs, size, size)
    return Graph("toy", nodes, ["x"], ["y"], constants, {"x": (1, channels, size, size), "t": out, "y": out})


UNITS = {"c": "npu", "r": "fused"}


def test_one_convolution_by_hand() -> None:
    found = evaluate(conv_graph(), UNITS, chip())
    # rows 5, columns 5 -> 6, taps 9, channels 3 -> 4 and 6 -> 8
    compute = 5 * 6 * 9 * 4 * 8 // 10
    weights = 6 * 3 * 9 + 4 * 6
    cycles = max(compute, 75, 150, weights) + 7
    assert found["layers"] == [
        {
            "name": "c",
            "op": "Conv",
            "origin": ["stem", "r"],
            "unit": "npu",
            "macs": 25 * 9 * 18,
            "cycles": cycles,
            "compute_cycles": compute,
            "time_ms": pytest.approx(cycles * 10),
            "dram_read": 75,
            "dram_write": 150,
            "weights": weights,
            "bound": "compute",
        }
    ]
    assert (found["model"], found["chip"], found["cycles"], found["macs"]) == ("toy", "toy", 871, 4050)
    assert found["time_ms"] == found["total_ms"] == pytest.approx(8710)
    assert found["fps"] == found["npu_fps"] == pytest.approx(1000 / 8710)
    assert (found["cpu_time_ms"], found["cpu_nodes"], found["unsupported"]) == (0, [], [])
    assert found["memory"] == {
        "input": 75,
        "output": 150,
        "weights": weights,
        "feature_maps_peak": 225,
        "dram": 1000,
        "sram": 1,
    }


@pytest.mark.parametrize(
    ("changed", "bound", "cycles"),
    [
        ({"dram_write_bytes_per_second": 10}, "dma", 1500 + 7),
        ({"dram_read_bytes_per_second": 5}, "dma", 1500 + 7),
        ({"weight_bytes_per_second": 10}, "weights", 1860 + 7),
        ({"layer_overhead_cycles": 5000}, "overhead", 864 + 5000),
    ],
)
def test_the_bound_is_the_largest_part(changed: dict[str, float], bound: str, cycles: int) -> None:
    (row,) = evaluate(conv_graph(), UNITS, chip(**changed))["layers"]
    assert (row["bound"], row["cycles"]) == (bound, cycles)


def two_layers() -> Graph:
    """x -> MaxPool -> t -> Softmax -> y"""
    nodes = [
        Node("MaxPool", "p", ["x"], ["t"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        Node("Softmax", "s", ["t"], ["y"], {"axis": 1}),
    ]
    shapes = {"x": (1, 4, 8, 8), "t": (1, 4, 4, 4), "y": (1, 4, 4, 4)}
    return Graph("two", nodes, ["x"], ["y"], {}, shapes)


def test_cpu_nodes_are_timed_apart_and_say_why() -> None:
    recipe = chip()
    found = evaluate(two_layers(), place(two_layers(), recipe).units, recipe)
    assert found["cycles"] == 256 + 7  # read 256 bytes; 256 / 8 cycles of compute
    assert found["cpu_nodes"] == [
        {
            "name": "s",
            "op": "Softmax",
            "reason": "the NPU has no Softmax on toy",
            "time_ms": pytest.approx(64 * 16 / 100 * 1000),
        }
    ]
    assert found["total_ms"] == pytest.approx(2630 + 10240)
    assert found["fps"] == pytest.approx(1000 / 12870)
    assert found["npu_fps"] == pytest.approx(1000 / 2630)


def test_a_map_that_fits_stays_on_the_chip() -> None:
    units = {"p": "npu", "s": "npu"}
    small = evaluate(two_layers(), units, chip(sram_bytes=63))
    large = evaluate(two_layers(), units, chip(sram_bytes=64))
    assert [(row["dram_read"], row["dram_write"]) for row in small["layers"]] == [(256, 64), (64, 64)]
    assert [(row["dram_read"], row["dram_write"]) for row in large["layers"]] == [(256, 0), (0, 64)]


def test_a_model_without_npu_work_has_no_npu_speed() -> None:
    found = evaluate(two_layers(), {"p": "cpu", "s": "cpu"}, chip())
    assert (found["npu_fps"], found["time_ms"], found["layers"]) == (None, 0, [])
    assert found["cpu_nodes"][0]["reason"] == "placed there on demand"


def test_what_nothing_runs_takes_no_time_and_is_listed() -> None:
    found = evaluate(two_layers(), {"p": "npu", "s": "none"}, chip())
    assert found["unsupported"] == [{"name": "s", "op": "Softmax"}]
    assert [row["name"] for row in found["layers"]] == ["p"] and found["cpu_nodes"] == []


def test_a_batch_shares_the_weights() -> None:
    recipe = chip(weight_bytes_per_second=10, layer_overhead_cycles=0)
    single = evaluate(conv_graph(), UNITS, recipe)
    double = evaluate(conv_graph(), UNITS, recipe, Options(batch=2))
    assert single["cycles"] == double["cycles"] == 1860  # bound by weights, loaded once
    assert double["time_ms"] == pytest.approx(single["time_ms"] / 2)


def test_confidence_is_that_of_the_least_sure_fact_used() -> None:
    recipe = chip("fitted")
    assert evaluate(conv_graph(), UNITS, recipe)["confidence"] == "fitted"
    hardware = recipe.hardware.model_copy(
        update={"cpu_hz": recipe.hardware.cpu_hz.model_copy(update={"sure": "guess"})}
    )
    recipe = recipe.model_copy(update={"hardware": hardware})
    assert evaluate(conv_graph(), UNITS, recipe)["confidence"] == "fitted"
    on_cpu = evaluate(two_layers(), {"p": "npu", "s": "cpu"}, recipe)
    assert (on_cpu["confidence"], on_cpu["confidence_because"]) == ("guess", "cpu_hz")


def test_an_option_replaces_a_guess() -> None:
    found = evaluate(conv_graph(), UNITS, load_recipe("modalix"))
    assert found["confidence"] == "guess" and "clock_hz" in found["confidence_because"]
    bandwidth = 1e11
    given_by_user = Options(1e9, bandwidth, bandwidth, bandwidth)
    assert (
        "clock_hz"
        not in evaluate(conv_graph(), UNITS, load_recipe("modalix"), given_by_user)["confidence_because"]
    )


@pytest.mark.parametrize(
    "options", [Options(clock_hz=0), Options(batch=0), Options(weight_bytes_per_second=-1)]
)
def test_options_that_make_no_sense(options: Options) -> None:
    with pytest.raises(ModelbuildError, match="must be greater than 0"):
        evaluate(conv_graph(), UNITS, chip(), options)


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
FASTER = [name for name in NUMBERS if name.startswith(("macs", "elementwise")) or name.endswith("per_second")]


@given(SIZES, st.sampled_from(FASTER))
def test_a_faster_part_never_makes_a_slower_chip(size: tuple[int, int, int], name: str) -> None:
    graph = conv_graph(*size)
    faster = evaluate(graph, UNITS, chip(**{name: 2 * NUMBERS[name]}))
    assert faster["time_ms"] <= evaluate(graph, UNITS, chip())["time_ms"]


@given(SIZES)
def test_twice_the_clock_is_never_slower_and_never_more_than_twice_as_fast(
    size: tuple[int, int, int],
) -> None:
    graph = conv_graph(*size)
    slow = evaluate(graph, UNITS, chip())["time_ms"]
    fast = evaluate(graph, UNITS, chip(), Options(clock_hz=200))["time_ms"]
    assert slow / 2 * (1 - 1e-12) <= fast <= slow * (1 + 1e-12)


@given(SIZES)
def test_more_work_never_takes_less_time(size: tuple[int, int, int]) -> None:
    channels, side, outputs = size
    base = evaluate(conv_graph(*size), UNITS, chip())["time_ms"]
    for larger in (
        (channels + 1, side, outputs),
        (channels, side + 1, outputs),
        (channels, side, outputs + 1),
    ):
        assert evaluate(conv_graph(*larger), UNITS, chip())["time_ms"] >= base
