"""Sums of maps as layers: which, how exact, and what stays with the CPU."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.sessions import session
from modelbuild.chips.load import load_recipe
from modelbuild.kpu.compiler import compile_model
from modelbuild.kpu.lowering.residual import shares
from tests.kpu.emitting.running import check_simulated
from tests.kpu.lowering.made import Lowered, conv, lowered, network, weights
from tests.kpu.lowering.test_networks import node, placed_as_told

SHAPE = (1, 8, 12, 12)
WEIGHTS = dict.fromkeys("uvw", (8, 8, 3, 3))


def check_sums(made: Lowered) -> None:
    """Each byte of a sum is the nearest to the sum of what its inputs stand for, but for near ties."""
    tensors, operators = made.fixed.tensors, made.fixed.operators
    values = session(made.fixed).run(made.samples[0], "all")
    for join, layer in pairwise(operators):
        if join.kind != "join":
            continue
        (y,) = (tensors[name] for name in layer.outputs)
        signs = [1, -1 if layer.name.startswith("Sub") else 1, 1]
        total = sum(
            sign * tensors[name].scale * (values[name].astype(float) - tensors[name].zero_point)
            for sign, name in zip(signs, join.inputs, strict=False)
        )
        if any(name.startswith("Relu") for name in layer.origin):
            total = np.maximum(total, 0)
        wanted = np.clip(np.rint(total / y.scale) + y.zero_point, 0, 255)
        off = np.abs(values[y.name] - wanted)
        assert off.max() <= 1 and off.mean() < 0.01
    compiled = compile_model(made.fixed, load_recipe("k210"), {})
    check_simulated(made.fixed, made.samples[0], compiled)
    assert not any(step.operator == join.name for step in compiled.executed for join in made.kinds("join"))


def test_residual_sums_are_layers_of_one_function() -> None:
    """Their Relu and pool come with them; nothing goes to the CPU between."""
    nodes = [
        conv("x", "a", "u"),
        conv("a", "b", "v"),
        node("Add", "a b", "s"),
        node("Relu", "s", "r"),
        conv("r", "c", "w"),
        node("Add", "r c", "t"),
        node("Relu", "t", "o"),
        node("MaxPool", "o", "y", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    made = lowered(network(nodes, SHAPE, weights(**WEIGHTS)))
    assert [each.kind for each in made.fixed.operators] == [
        "quantize", "kpu_conv", "kpu_conv", "join", "kpu_conv", "kpu_conv", "join", "kpu_conv", "dequantize",
    ]  # fmt: skip
    assert made.kinds("kpu_conv")[-1].parameters["pool"] == "max_2_s2"
    placed_as_told(made)
    (function,) = compile_model(made.fixed, load_recipe("k210"), {}).functions
    assert len(function.layers) == 5 and len(function.outputs) == 1
    assert made.snr() > 28


@pytest.mark.parametrize("op", ["Add", "Sub", "Sum"])
def test_bytes_of_sums_are_the_nearest(op: str) -> None:
    """Of maps of other scales and zero points; a Sum has three."""
    constants = weights(**WEIGHTS)
    constants["v"] = constants["v"] * np.float32(0.37)
    constants["w_b"] = constants["w_b"] + np.float32(2)
    nodes = [conv("x", "a", "u"), conv("x", "b", "v"), conv("x", "c", "w")]
    nodes.append(node(op, "a c b" if op == "Sum" else "b c", "s"))
    if op == "Add":
        nodes.append(node("Relu", "s", "y"))
    made = lowered(network(nodes, SHAPE, constants))
    check_sums(made)
    assert made.count("join") == 1 and made.snr() > 28


@pytest.mark.parametrize(
    ("shape", "op"),
    [((1, 8, 3, 3), "Add"), ((2, 8, 12, 12), "Add"), ((1, 6, 12, 12), "Add"), ((1, 8, 12, 12), "Mul")],
)
def test_other_sums_stay_with_the_cpu(shape: tuple[int, ...], op: str) -> None:
    """Maps that are too small for their weights, several pictures, channels that end within a row."""
    count = shape[1]
    made = lowered(
        network(
            [conv("x", "a", "u"), conv("a", "b", "v"), node(op, "a b", "y")],
            shape,
            weights(u=(count, count, 3, 3), v=(count, count, 3, 3)),
        )
    )
    placed_as_told(made)
    assert made.count("join") == 0 and made.units[f"{op}_y"] == "cpu"


def test_a_sum_for_which_no_ram_is_left_is_done_by_the_cpu() -> None:
    """Two maps of 8 channels take 1,536 bytes each, and the layers before them 3,072."""
    nodes = [conv("x", "a", "u"), conv("a", "b", "v"), node("Add", "a b", "s"), conv("s", "y", "w")]
    model = network(nodes, SHAPE, weights(**WEIGHTS))
    made = lowered(model, sram_bytes=3072)
    assert made.count("join") == 0 and made.count("binary") == 1 and made.snr() > 28
    assert lowered(model, sram_bytes=4096).count("join") == 1


@given(
    scales=st.lists(st.floats(1e-4, 1e4), min_size=2, max_size=4),
    most=st.sampled_from([127, 255]),
)
def test_shares_are_to_each_other_as_scales(scales: list[float], most: int) -> None:
    found, unit = shares(scales, most)
    assert found.min() >= 0 and found.max() <= most
    np.testing.assert_allclose(found * unit, scales, rtol=0, atol=max(scales) * 0.51 / most)
    exact, one = shares([3.0, 7.0], most)
    assert exact.tolist() == [3, 7] and one == pytest.approx(1.0)


def test_bounds_behind_the_mean_of_a_sum() -> None:
    """A table of bytes, as a layer has its pool last."""
    nodes = [
        conv("x", "a", "u"),
        conv("a", "b", "v"),
        node("Add", "a b", "s"),
        node("AveragePool", "s", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Relu", "p", "r"),
        conv("r", "y", "w"),
    ]
    made = lowered(network(nodes, SHAPE, weights(**WEIGHTS)))
    kinds = [each.kind for each in made.fixed.operators]
    assert kinds == [
        "quantize",
        "kpu_conv",
        "kpu_conv",
        "join",
        "kpu_conv",
        "lookup",
        "kpu_conv",
        "dequantize",
    ]
    assert made.snr() > 28
    check_simulated(made.fixed, made.samples[0], compile_model(made.fixed, load_recipe("k210"), {}))
