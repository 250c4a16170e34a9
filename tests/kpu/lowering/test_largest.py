"""Max pools in several steps, each a pool that the chip has: the very largest bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelbuild.arithmetic.kpu import run
from modelbuild.graph.model import Graph, Node
from modelbuild.kpu.lowering.largest import DROP, GROW, HALVE, pools_of
from tests.kpu.emitting import running
from tests.kpu.lowering.made import Lowered, conv, lowered, network, weights
from tests.kpu.lowering.test_networks import placed_as_told
from tests.kpu.lowering.test_pools import pool

AFTER = [0, 0, 1, 1]


def graph(
    size: tuple[int, int], kernel: int, stride: int, pads: list[int], alone: bool = True, *first: Any
) -> Graph:
    """A convolution with a function, and the pool, which are outputs both, or the pool alone; `first`: pads
    and stride of the convolution."""
    nodes = [
        conv("x", "c", "w", 3, *first),
        Node("LeakyRelu", "t", ["c"], ["t"]),
        pool("t", "y", "MaxPool", kernel, stride, pads=pads),
    ]
    return network(nodes, (1, 8, *size), weights(w=(8, 8, 3, 3)), *(["y"] if alone else ["t", "y"]))


def agree(made: Lowered) -> None:
    placed_as_told(made)
    found = running.compiled(made.fixed)
    running.check_simulated(made.fixed, made.samples[0], found)
    running.check_judged(made.fixed, made.samples[0], found)


def bytes_pooled(made: Lowered, kernel: int, stride: int, pads: list[int]) -> None:
    """The last layer leaves the largest of the bytes that the convolution would leave without a pool."""
    layers, model = made.kinds("kpu_conv"), made.fixed
    bare = replace(layers[0], parameters={**layers[0].parameters, "pool": "bypass"})
    operators = tuple(bare if each.name == bare.name else each for each in model.operators)
    for sample in made.samples:
        left = run(replace(model, operators=operators), sample, keep="all")[bare.outputs[0]]
        found = run(model, sample, keep="all")[layers[-1].outputs[0]]
        assert np.array_equal(largest(left.astype(float), kernel, stride, pads), found)


def largest(x: np.ndarray, kernel: int, stride: int, pads: list[int]) -> np.ndarray:
    top, left, bottom, right = pads
    wide = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(wide, (kernel, kernel), (2, 3))
    return windows[:, :, ::stride, ::stride].max(axis=(4, 5))


CASES: dict[str, tuple[tuple[int, int], int, int, list[int], int]] = {
    # size, kernel, stride, pads, layers with the convolution where others read its map
    "2x2": ((12, 14), 2, 1, AFTER, 2),
    "3x3": ((12, 14), 3, 1, [1] * 4, 4),
    "5x5": ((13, 15), 5, 1, [2] * 4, 7),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pool_of_what_others_read_is_layers_of_its_own(name: str) -> None:
    size, kernel, stride, pads, layers = CASES[name]
    made = lowered(graph(size, kernel, stride, pads, alone=False))
    assert made.units["y"] == "npu" and made.count("window") == 0 and made.count("kpu_conv") == layers
    for sample in made.samples:
        found = made.outputs(sample)
        assert np.array_equal(largest(found["t"], kernel, stride, pads), found["y"])
    agree(made)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads", "pools"),
    [
        ((12, 14), 2, 1, AFTER, [GROW]),
        ((13, 15), 3, 2, [0] * 4, [GROW, HALVE]),
        ((12, 14), 3, 2, AFTER, [GROW, HALVE]),
        ((12, 14), 3, 2, [1] * 4, [GROW, DROP, HALVE]),
    ],
    ids=["2x2", "3x3", "TensorFlow", "3x3 around"],
)
def test_the_layer_before_does_the_first_step(
    size: tuple[int, int], kernel: int, stride: int, pads: list[int], pools: list[str]
) -> None:
    made = lowered(graph(size, kernel, stride, pads))
    assert [each.parameters["pool"] for each in made.kinds("kpu_conv")] == pools
    bytes_pooled(made, kernel, stride, pads)
    agree(made)


def test_behind_phases_the_first_step_rides_too() -> None:
    """As in NanoDet: no map leaves the KPU between the picture and the pool."""
    made = lowered(graph((300, 16), 3, 2, [1] * 4, True, 1, 2))
    assert [each.parameters["pool"] for each in made.kinds("kpu_conv")] == [GROW, DROP, HALVE]
    assert {each.kind for each in made.fixed.operators if each.unit == "cpu"} == {
        "quantize", "reshape", "transpose", "dequantize",
    }  # fmt: skip
    agree(made)


def test_a_move_that_the_ram_does_not_hold_is_the_next_layers() -> None:
    nodes = [conv("x", "t", "w"), pool("t", "y", "MaxPool", 3, 2, pads=[1] * 4)]
    source = network(nodes, (1, 3, 40, 40), weights(w=(8, 3, 3, 3)))
    whole, tight = lowered(source), lowered(source, sram_bytes=30 << 10)
    assert [each.parameters["pool"] for each in tight.kinds("kpu_conv")] == [GROW, HALVE]
    for sample in whole.samples:
        assert np.array_equal(tight.outputs(sample)["y"], whole.outputs(sample)["y"])
    agree(tight)


@pytest.mark.parametrize("pads", [0, [1, 1, 0, 0]], ids=str)
def test_windows_see_no_cell_that_is_cut_off(pads: Any) -> None:
    """Where paddings are missing, the layer leaves cells that are none of the output."""
    source = graph((12, 14), 2, 1, AFTER, True, pads)
    made = lowered(source)
    kept = next(each for each in made.fixed.operators if "/kept" in each.outputs[0])
    for sample in made.samples:
        found = run(made.fixed, sample, keep="all")
        wanted = largest(found[kept.outputs[0]].astype(float), 2, 1, AFTER)
        assert np.array_equal(wanted, found[made.kinds("kpu_conv")[-1].outputs[0]])
    agree(made)


@pytest.mark.parametrize(
    ("size", "given", "unit"),
    [
        ((12, 14), (3, 2, [0] * 4), "cpu"),
        ((12, 14), (4, 2, [1] * 4), "cpu"),
        ((13, 14), (3, 2, [1] * 4), "cpu"),
        ((12, 14), (3, 1, [0, 0, 2, 2]), "cpu"),
        ((12, 14), (3, 1, [1] * 4), "npu"),
    ],
    ids=str,
)
def test_what_is_no_row_of_the_chips_pools(size: tuple[int, int], given: Any, unit: str) -> None:
    made = lowered(graph(size, *given, alone=False))
    assert made.units["y"] == unit and made.snr() > 28


def test_the_steps_of_a_window() -> None:
    def steps(*given: Any) -> tuple[str, ...]:
        return pools_of(pool("x", "y", "MaxPool", given[0], given[1], pads=given[2]), (26, 26), given[3])

    assert steps(2, 1, AFTER, (26, 26)) == (GROW,)
    assert steps(5, 1, [2] * 4, (26, 26)) == (GROW, DROP, GROW) * 2
    assert steps(3, 2, [1] * 4, (13, 13)) == (GROW, DROP, HALVE)
    assert steps(3, 2, [0] * 4, (12, 12)) == steps(3, 2, [0, 1, 1, 0], (13, 13)) == ()
