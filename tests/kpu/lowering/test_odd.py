"""Convolutions of stride 2 whose centres are odd cells: picked by a layer, not cut out by the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.model import Graph, Node
from modelbuild.kpu.lowering import convolutions
from tests.kpu.emitting import running
from tests.kpu.lowering.made import conv, lowered, network, weights
from tests.kpu.lowering.test_networks import placed_as_told

TENSORFLOW = [0, 0, 1, 1]


def graph(pads: list[int], size: tuple[int, int] = (20, 24), **more: Any) -> Graph:
    nodes = [
        conv("x", "a", "u", pads=pads, stride=2, **more),
        Node("Clip", "r", ["a", "zero", "six"], ["b"]),
        conv("b", "y", "v"),
    ]
    constants = {"zero": np.array(0, np.float32), "six": np.array(6, np.float32)}
    return network(nodes, (1, 3, *size), {**constants, **weights(u=(8, 3, 3, 3), v=(6, 8, 3, 3))})


@pytest.mark.parametrize(
    ("pads", "pools"),
    [
        (TENSORFLOW, ["bypass", "right_top_2_s2", "bypass"]),
        ([0, 1, 1, 0], ["bypass", "left_top_2_s2", "bypass"]),
        ([1, 0, 0, 1], ["right_top_2_s2", "bypass"]),
    ],
    ids=["both", "rows", "columns"],
)
def test_a_layer_picks(pads: list[int], pools: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are those that are left where the CPU cuts, and no map leaves the KPU between."""
    made = lowered(graph(pads))
    assert [each.parameters["pool"] for each in made.kinds("kpu_conv")] == pools
    assert made.count("slice") == made.count("pad") == 0
    placed_as_told(made)
    monkeypatch.setattr(convolutions, "pays", lambda of, hardware: False)
    plain = lowered(graph(pads))
    assert plain.count("pad") == plain.count("slice") == 1
    for sample in made.samples:
        assert np.array_equal(made.outputs(sample)["y"], plain.outputs(sample)["y"])
    found = running.compiled(made.fixed)
    running.check_simulated(made.fixed, made.samples[0], found)
    running.check_judged(made.fixed, made.samples[0], found)


def test_what_does_not_pay_is_cut_out_by_the_cpu() -> None:
    """Weights of 64 channels twice, and those that lay the map, are worth more than a small map's way."""
    nodes = [conv("x", "y", "w", pads=TENSORFLOW, stride=2)]
    made = lowered(network(nodes, (1, 64, 8, 8), weights(w=(64, 64, 3, 3))))
    assert made.count("slice") == 1
    odd = lowered(graph(TENSORFLOW, (21, 24)))
    assert odd.count("kpu_conv") == 2 and odd.snr() > 28


def test_a_map_of_fewer_rows_than_a_layer_has_is_padded() -> None:
    nodes = [conv("x", "a", "u"), conv("a", "y", "w", pads=TENSORFLOW, stride=2)]
    made = lowered(network(nodes, (1, 3, 2, 130), weights(u=(1, 3, 3, 3), w=(16, 1, 3, 3))))
    running.check_simulated(made.fixed, made.samples[0], running.compiled(made.fixed))
    placed_as_told(made)
    assert made.snr() > 28
