"""Depthwise windows of stride 2: whoever picks the cells, the bytes are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.model import Graph, Node
from modelbuild.kpu.lowering import convolutions
from modelbuild.kpu.lowering.strided import CPU, DENSE, UNIT
from tests.kpu.emitting import running
from tests.kpu.lowering.made import Lowered, conv, lowered, network, weights

LEAST = 30.0
TENSORFLOW = [0, 0, 1, 1]
Patch = pytest.MonkeyPatch


def graph(pads: Any = 1, size: tuple[int, int] = (20, 24), *outputs: str) -> Graph:
    """A 1x1 layer, the window with a function behind it, and a 1x1 layer."""
    nodes = [
        conv("x", "a", "u", 1),
        conv("a", "b", "w", 3, pads=pads, stride=2, group=8),
        Node("Relu", "r", ["b"], ["c"]),
        conv("c", "y", "v", 1),
    ]
    constants = weights(u=(8, 3, 1, 1), w=(8, 1, 3, 3), v=(6, 8, 1, 1))
    return network(nodes, (1, 3, *size), constants, *outputs)


def by(way: str, source: Graph, patch: Patch) -> Lowered:
    """Lowered with `way` for all such windows."""
    patch.setattr(convolutions, "picker", lambda of, hardware: way)
    return lowered(source)


def layers(made: Lowered) -> list[tuple[object, object]]:
    """Whether each is depthwise, and its pool."""
    return [(each.parameters["depthwise"], each.parameters["pool"]) for each in made.kinds("kpu_conv")]


@pytest.mark.parametrize("pads", [1, TENSORFLOW, [1, 0, 0, 1]], ids=["ones", "TensorFlow", "mixed"])
def test_the_layer_behind_picks(pads: Any, monkeypatch: Patch) -> None:
    """By its pool: of the large maps none leave the KPU."""
    made = lowered(graph(pads))
    assert [each.kind for each in made.fixed.operators if each.kind != "kpu_conv"] == [
        "quantize",
        "dequantize",
    ]
    moving = [] if pads == 1 else [(1, "bypass")]
    assert layers(made) == [(0, "bypass"), (1, "bypass"), *moving, (0, "left_top_2_s2")]
    plain = by(CPU, graph(pads), monkeypatch)
    assert plain.count("slice") == 1
    for sample in made.samples:
        assert np.array_equal(made.outputs(sample)["y"], plain.outputs(sample)["y"])


@pytest.mark.parametrize(("way", "pads"), [(UNIT, 1), (UNIT, TENSORFLOW), (DENSE, 1)])
def test_others_pick(way: str, pads: Any, monkeypatch: Patch) -> None:
    plain, made = (by(each, graph(pads, (20, 24), "c", "y"), monkeypatch) for each in (CPU, way))
    moving = [] if pads == 1 else [(1, "bypass")]
    unit = [(1, "bypass"), *moving] if way == UNIT else []
    assert layers(made) == [(0, "bypass"), *unit, (0, "left_top_2_s2"), (0, "bypass")]
    assert plain.count("slice") == 1 and made.count("slice") == 0
    for sample in made.samples:
        found, wanted = made.outputs(sample), plain.outputs(sample)
        assert all(np.array_equal(found[name], wanted[name]) for name in ("c", "y"))


def test_a_unit_matrix_picks_what_others_read() -> None:
    """Nine times fewer bytes than a dense window has."""
    made = lowered(graph(1, (20, 24), "c", "y"))
    assert layers(made)[1:3] == [(1, "bypass"), (0, "left_top_2_s2")]


def test_a_pool_behind_the_next_layer_keeps_its_place() -> None:
    source = graph()
    nodes = [*source.nodes, Node("MaxPool", "p", ["y"], ["z"], {"kernel_shape": [2, 2], "strides": [2, 2]})]
    made = lowered(network(nodes, (1, 3, 20, 24), source.constants))
    assert layers(made)[-1] == (0, "max_2_s2") and made.snr() > LEAST


@pytest.mark.parametrize("pads", [1, TENSORFLOW], ids=["ones", "TensorFlow"])
@pytest.mark.parametrize("outputs", [(), ("c", "y")], ids=["behind", "unit"])
def test_both_simulators_agree(pads: Any, outputs: tuple[str, ...]) -> None:
    made = lowered(graph(pads, (12, 18), *outputs))
    assert made.count("slice") == 0
    found = running.compiled(made.fixed)
    running.check_simulated(made.fixed, made.samples[0], found)
    running.check_judged(made.fixed, made.samples[0], found)


@pytest.mark.parametrize(
    ("size", "pads"), [((21, 24), 1), ((20, 24), 0), ((20, 24), [2, 2, 2, 2])], ids=["odd", "none", "wide"]
)
def test_other_windows_are_picked_by_the_cpu(size: tuple[int, int], pads: Any) -> None:
    made = lowered(graph(pads, size))
    assert made.count("slice") >= 1 and made.snr() > LEAST


def test_many_channels_of_few_cells_go_to_the_cpu() -> None:
    """Where the byte of a weight is worth more than the time of a cell."""
    nodes = [conv("x", "y", "w", 3, stride=2, group=256)]
    made = lowered(network(nodes, (1, 256, 8, 8), weights(w=(256, 1, 3, 3))))
    assert layers(made) == [(1, "bypass")] and made.count("slice") == 1
