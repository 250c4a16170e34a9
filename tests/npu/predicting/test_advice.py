"""What would help, held against the same prediction made anew."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.npu.predicting.advice import slowest, to_json, what_would_help
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.npu.predicting.prediction import Prediction, predict
from tests.npu.predicted import NUMBERS, chip, conv_graph, predicted, two_layers
from tests.quantize.cases import graph_of, normal, one_node

UNITS = {"c": "npu", "r": "npu"}
HALF = {f"{name}_bytes_per_second": 500.0 for name in ("dram_read", "dram_write", "weight")}


def found(recipe: Recipe) -> Prediction:
    return predict(conv_graph(8, 16, 8), UNITS, recipe)


def savings(of: Prediction) -> dict[str, float]:
    return {saving.change: saving.time_ms for saving in what_would_help(of)}


def test_other_rates_are_exact_where_engines_take_turns() -> None:
    slow = found(chip(**HALF))
    told = savings(slow)
    plain = found(chip())
    assert told["twice the DRAM bandwidth"] == pytest.approx(plain.ms(plain.cycles), rel=1e-3)
    doubled = found(chip(**HALF, macs_per_cycle=16))
    assert told["an array twice as fast"] == pytest.approx(doubled.ms(doubled.cycles), rel=1e-3)
    fast = predict(conv_graph(8, 16, 8), UNITS, chip(**HALF), Options(clock_hz=1250))
    assert told["a clock faster by a quarter"] == pytest.approx(fast.ms(fast.cycles), rel=1e-3)


def mixed() -> Graph:
    """x -> Conv 3x3 -> MaxPool 3x3 -> Add with a Sigmoid of the Conv"""
    weights = {"w": np.zeros((8, 4, 3, 3), np.float32)}
    window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        Node("Conv", "c", ["x", "w"], ["t"], {"pads": [1, 1, 1, 1]}),
        Node("MaxPool", "p", ["t"], ["u"], window),
        Node("Sigmoid", "s", ["t"], ["v"]),
        Node("Add", "a", ["u", "v"], ["y"]),
    ]
    return graph_of(nodes, {"x": (1, 4, 8, 8)}, ["y"], weights)


@pytest.mark.parametrize("fused", [True, False])
def test_a_faster_array_does_not_pool_faster(fused: bool) -> None:
    """Each kind of work has its own rates: only those change, to the cycle but for rounding up."""
    units = dict.fromkeys("csp", "npu") | {"a": "fused" if fused else "npu"}
    array = {"macs_per_cycle": 16.0}
    cells = {"elementwise_per_cycle": 0.5}
    now = predict(mixed(), units, chip(elementwise_per_cycle=0.25))
    told = {saving.change: saving.time_ms for saving in what_would_help(now)}
    for change, facts in (
        ("an array twice as fast", {**array, "elementwise_per_cycle": 0.25}),
        ("cell-by-cell work twice as fast", cells),
    ):
        made = predict(mixed(), units, chip(**facts))
        assert told[change] == pytest.approx(made.ms(made.cycles), rel=1e-3)
    assert next(iter(told)) == "cell-by-cell work twice as fast"


def test_the_best_comes_first_and_nothing_that_does_not_help() -> None:
    saved = [saving.saves_ms for saving in what_would_help(found(chip()))]
    assert saved == sorted(saved, reverse=True) and all(ms > 0 for ms in saved)
    bound = found(chip(macs_per_cycle=0.125))
    assert next(iter(savings(bound))) == "an array twice as fast"
    assert "engines that all work at once" not in savings(found(chip(engines_at_once=4)))


def test_other_programs_are_counted_where_that_is_asked() -> None:
    recipe, asked = chip(), list[Options]()
    graph = conv_graph(8, 16, 8)

    def again(options: Options) -> Prediction:
        asked.append(options)
        return predict(graph, UNITS, recipe, options)

    told = what_would_help(again(Options()), again)
    assert {(one.tiling, one.batch, one.sram_bytes) for one in asked[1:]} == {
        ("default", None, 2 << 20),
        ("deep", None, None),
        ("default", 4, None),
    }
    assert all(
        saving.counted == saving.change.startswith(("batch", "tiling", "twice the memory")) for saving in told
    )


def test_the_cpu_is_part_of_the_time() -> None:
    of, said = predicted(two_layers(), chip(), s="cpu")
    told = to_json(of, said["cpu_nodes"])
    first = told["slowest"][0]
    assert (first["name"], first["unit"], first["bound"]) == ("s", "cpu", "cpu")
    assert sum(each["share"] for each in told["slowest"]) == pytest.approx(1)
    best = told["help"][0]
    assert (best["change"], best["saves_ms"]) == ("nothing on the CPU", said["cpu_time_ms"])
    assert best["total_ms"] == best["time_ms"] == said["time_ms"]
    fewer = what_would_help(of, None, 0.001)
    assert all(each.total_ms == each.time_ms + 0.001 for each in fewer if each.change != "nothing on the CPU")


def test_the_slowest_layers_and_why() -> None:
    (only,) = slowest(found(chip()))
    assert only["name"] == "c" and only["share"] == 1 and only["bound"] == "compute"
    assert only["because"] == "the array works on it all the time, at 100% of its peak for such layers"
    one = {"c": "npu", "s": "fused", "p": "fused", "a": "fused"}
    (often,) = slowest(predict(mixed(), one, chip()))
    assert often["because"] == "the array works on it most of the time, at 100% of its peak for such layers"
    (both,) = slowest(predict(mixed(), one, chip(elementwise_per_cycle=0.25)))
    assert both["because"] == "most of it is done cell by cell, not by the array"
    pointwise = one_node("Conv", (1, 8, 16, 16), w=normal(8, 8, 1, 1))
    (cells,) = slowest(predicted(pointwise, chip())[0])
    assert "at 100% of its peak" in cells["because"]  # which is half of that for windows
    (pool,) = slowest(predicted(two_layers(), chip(elementwise_per_cycle=0.1), s="cpu")[0])
    assert pool["because"] == "it has nothing to multiply, and is done cell by cell"
    (moved,) = slowest(predicted(conv_graph(), chip(dram_read_bytes_per_second=1))[0])
    assert moved["bound"] == "dma" and moved["because"].startswith("225 bytes of feature maps")
    (loaded,) = slowest(predicted(conv_graph(), chip(weight_bytes_per_second=1))[0])
    assert "bytes of weights are read" in loaded["because"]
    (small,) = slowest(predicted(conv_graph(), chip(layer_overhead_cycles=NUMBERS["clock_hz"] * 9))[0])
    assert "starting it takes longest" in small["because"]
