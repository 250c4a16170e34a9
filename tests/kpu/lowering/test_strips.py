"""Maps that no layer takes: strips of them leave the bytes that one layer would, and phases too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.formats.kmodel.kpu_geometry import LEAST
from modelbuild.graph.model import Graph, Node
from modelbuild.kpu.lowering import convolutions
from modelbuild.kpu.lowering.strips import Steps, spans
from tests.kpu.emitting import running
from tests.kpu.lowering.made import Lowered, conv, lowered, network, weights
from tests.kpu.lowering.test_networks import placed_as_told
from tests.kpu.lowering.test_pools import pool

Patch = pytest.MonkeyPatch
WHOLE = 1 << 21


def graph(size: tuple[int, int], *behind: Node, kernel: int = 3, outputs: int = 6, **more: Any) -> Graph:
    """A convolution of three channels with a function, what is behind it, and a 1x1 layer."""
    last = behind[-1].outputs[0] if behind else "b"
    nodes = [
        conv("x", "a", "u", kernel, **more),
        Node("LeakyRelu", "r", ["a"], ["b"]),
        *behind,
        conv(last, "y", "v", 1),
    ]
    return network(nodes, (1, 3, *size), weights(u=(outputs, 3, kernel, kernel), v=(5, outputs, 1, 1)))


def strips(made: Lowered) -> int:
    return sum("/strip" in each.inputs[0] for each in made.kinds("kpu_conv"))


def agree(made: Lowered, judged: bool = True) -> None:
    found = running.compiled(made.fixed)
    running.check_simulated(made.fixed, made.samples[0], found)
    if judged:
        running.check_judged(made.fixed, made.samples[0], found)


CASES: dict[str, Graph] = {
    "3x3": graph((40, 30)),
    "1x1": graph((40, 30), kernel=1),
    "stride 2": graph((40, 30), stride=2),
    "stride 2, uneven": graph((41, 31), stride=2),
    "stride 3": graph((40, 30), stride=3),
    "no pads": graph((40, 30), pads=0),
    "5x5": graph((40, 30), kernel=5),
    "7x7, stride 2": graph((40, 40), kernel=7, stride=2),
    "max pool": graph((40, 30), pool("b", "p")),
    "max pool of stride 1": graph((40, 30), pool("b", "p", stride=1)),
    "mean pool of 4x4": graph((41, 34), pool("b", "p", "AveragePool", 4, 4)),
}


JUDGED = ("3x3", "stride 2, uneven", "7x7, stride 2", "max pool of stride 1", "mean pool of 4x4")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("ram", [6 << 10, 7 << 9], ids=["large", "small"])
def test_strips_leave_what_one_layer_does(name: str, ram: int) -> None:
    whole, made = lowered(CASES[name]), lowered(CASES[name], sram_bytes=ram)
    assert strips(whole) == 0 and strips(made) > 1, made.count("kpu_conv")
    assert running.least_ram(made.fixed) <= ram
    for sample in whole.samples:
        assert np.array_equal(made.outputs(sample)["y"], whole.outputs(sample)["y"])
    agree(made, judged=ram < 4 << 10 and name in JUDGED)


@pytest.mark.parametrize(
    ("size", "more", "count"),
    [((300, 8), {}, 2), ((8, 516), {}, 2), ((300, 8), {"stride": 2}, 0), ((260, 8), {"kernel": 5}, 2)],
    ids=["high", "wide", "stride 2", "5x5"],
)
def test_large_maps_are_on_the_kpu(size: tuple[int, int], more: dict[str, Any], count: int) -> None:
    made = lowered(graph(size, *([] if "stride" in more else [pool("b", "p")]), outputs=16, **more))
    assert set(made.units.values()) == {"npu", "fused"} and made.count("conv") == 0
    assert strips(made) == count
    placed_as_told(made)
    assert made.snr() > 28
    agree(made)


def test_strips_have_their_weights_once() -> None:
    high, low = (
        running.compiled(lowered(graph((rows, 8), pool("b", "p", kernel=4, stride=4), outputs=16)).fixed)
        for rows in (1000, 200)
    )
    assert high.memory.sizes.kpu_constants == low.memory.sizes.kpu_constants


@pytest.mark.parametrize("pads", [0, 1, [0, 0, 1, 1], [2, 1, 2, 1]], ids=str)
@pytest.mark.parametrize(("kernel", "size"), [(3, (20, 24)), (3, (21, 23)), (2, (20, 24)), (5, (20, 24))])
def test_phases_leave_what_a_stride_does(
    kernel: int, size: tuple[int, int], pads: Any, monkeypatch: Patch
) -> None:
    source = graph(size, kernel=kernel, stride=2, pads=pads)
    made = []
    for way in (False, True):
        monkeypatch.setattr(
            convolutions, "takes_phases", lambda shape, out, window, way=way: way and window.strides == (2, 2)
        )
        made.append(lowered(source))
    plain, phased = made
    assert any("/phases" in name for name in phased.fixed.tensors)
    for sample in plain.samples:
        assert np.array_equal(phased.outputs(sample)["y"], plain.outputs(sample)["y"])
    agree(phased, judged=size == (21, 23))


@pytest.mark.parametrize("size", [(320, 20), (20, 20)], ids=["high", "low"])
def test_a_window_that_needs_copies_takes_phases(size: tuple[int, int]) -> None:
    """A fourth of the cells: 4 phases of 10 x 10 for 5x5, where 4 copies of 20 x 20 were laid."""
    made = lowered(graph(size, kernel=5, stride=2))
    layer = made.kinds("kpu_conv")[0]
    assert made.fixed.tensors[layer.inputs[0]].shape == (1, 12, size[0] // 2, 10)
    placed_as_told(made)


def test_what_does_not_pay_stays_with_the_cpu() -> None:
    """Products for each cell that goes and comes: 27 * 2 / (3 + 2), and 9 of a depthwise window."""
    few = lowered(graph((300, 8), outputs=2))
    assert few.units["conv_a"] == "cpu" and few.count("conv") == 2
    nodes = [conv("x", "y", "w", group=8)]
    assert lowered(network(nodes, (1, 8, 300, 8), weights(w=(8, 1, 3, 3)))).units["conv_y"] == "cpu"


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_parts_of_an_axis(data: st.DataObject) -> None:
    """Of whatever layer and however kept, each cell is made of the very cells that the whole makes it of."""
    size = data.draw(st.integers(LEAST, 40))
    border, (pooled, stride) = (
        data.draw(st.sampled_from([0, 1])),
        data.draw(st.sampled_from([(1, 1), (2, 1), (1, 2), (2, 2), (1, 4), (4, 4)])),
    )
    made = size // stride
    first = data.draw(st.integers(0, made - 1))
    step = data.draw(st.integers(1, 3))
    count = data.draw(st.integers(1, (made - 1 - first) // step + 1))
    axis = Steps(border, pooled, stride, first, step, count)
    values = np.random.default_rng(size).integers(1, 100, size)
    wanted = layer(values, axis)[first::step][:count]
    found = []
    for part in spans(size, axis, data.draw(st.integers(1, count))):
        assert part.size >= LEAST and part.made == part.size // stride
        left = layer(values[part.start : part.end], axis)
        assert len(left) == part.made
        found += list(left[part.skip :: step][: part.kept])
    assert np.array_equal(found, wanted)


def layer(values: np.ndarray, axis: Steps) -> np.ndarray:
    """A window of 1 or 3 cells with zeros around, and the largest of `pooled` places of each stride."""
    wide = np.pad(values, axis.border)
    taps = [wide[tap : tap + len(values)] * 7**tap for tap in range(2 * axis.border + 1)]
    places = np.pad(np.sum(taps, axis=0), (0, axis.pooled))
    starts = range(0, len(values) // axis.stride * axis.stride, axis.stride)
    return np.array([places[start : start + axis.pooled].max() for start in starts])
