"""Several operators together: who runs where, how often values are converted, and that the rules say it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Node
from tests.kpu.lowering.made import Lowered, conv, lowered, network, weights
from tests.pairs import few
from tests.quantize.cases import CASES, F, longs
from tests.rows import row


def node(op: str, inputs: str, target: str, **attributes: Any) -> Node:
    return Node(op, f"{op}_{target}", inputs.split(), [target], attributes)


def placed_as_told(made: Lowered) -> None:
    """What check puts on the NPU is in a KPU layer, and nothing else is."""
    on_kpu = {name for each in made.kinds("kpu_conv") for name in each.origin}
    assert on_kpu == {name for name, unit in made.units.items() if unit != "cpu"}
    assert {each.unit for each in made.kinds("kpu_conv")} <= {"npu"}
    assert all(each.unit == "cpu" for each in made.fixed.operators if each.kind != "kpu_conv")


def test_a_chain_of_layers_is_converted_once() -> None:
    nodes = [
        conv("x", "a", "u"),
        node("Relu", "a", "b"),
        conv("b", "c", "v", 1),
        conv("c", "y", "w", stride=2),
    ]
    made = lowered(network(nodes, (1, 3, 16, 16), weights(u=(8, 3, 3, 3), v=(8, 8, 1, 1), w=(4, 8, 3, 3))))
    kinds = [each.kind for each in made.fixed.operators]
    assert kinds == ["quantize", "kpu_conv", "kpu_conv", "kpu_conv", "dequantize"]
    placed_as_told(made)
    assert made.snr() > 28


def test_sums_of_odd_channels_stay_floats_and_are_quantized_once() -> None:
    """Six channels of 12 columns end within a row of the KPU's RAM."""
    nodes = [
        conv("x", "a", "u"),
        conv("a", "b", "v"),
        node("Add", "a b", "s"),
        node("Relu", "s", "r"),
        conv("r", "c", "w"),
        node("Add", "r c", "y"),
    ]
    made = lowered(network(nodes, (1, 6, 12, 12), weights(u=(6, 6, 3, 3), v=(6, 6, 3, 3), w=(6, 6, 3, 3))))
    assert (made.count("binary"), made.count("quantize"), made.count("dequantize")) == (2, 2, 3)
    assert made.fixed.tensors["r"].floating
    placed_as_told(made)
    assert made.snr() > 28


def test_one_conversion_serves_all_readers() -> None:
    nodes = [
        conv("x", "a", "u"),
        node("Softmax", "a", "s", axis=1),
        node("Add", "a s", "t"),
        node("Mul", "a t", "y"),
    ]
    made = lowered(network(nodes, (1, 8, 12, 12), weights(u=(8, 8, 3, 3))))
    assert made.count("dequantize") == 1 and made.snr() > 30


def test_moves_between_layers_move_bytes() -> None:
    nodes = [
        conv("x", "a", "u"),
        node("Slice", "a starts ends axes", "b"),
        node("Resize", "b none scales", "c", mode="nearest", coordinate_transformation_mode="asymmetric",
             nearest_mode="floor"),
        conv("c", "y", "v"),
    ]  # fmt: skip
    constants = {
        **weights(u=(8, 8, 3, 3), v=(4, 6, 3, 3)),
        "starts": longs(2), "ends": longs(8), "axes": longs(1),
        "none": np.zeros(0, F), "scales": np.array([1, 1, 2, 2], F),
    }  # fmt: skip
    made = lowered(network(nodes, (1, 8, 6, 6), constants))
    assert [each.kind for each in made.fixed.operators] == [
        "quantize", "kpu_conv", "slice", "resize_nearest", "kpu_conv", "dequantize",
    ]  # fmt: skip
    assert made.snr() > 30


def test_a_concat_before_a_layer_joins_bytes_of_one_scale() -> None:
    nodes = [
        conv("x", "a", "u"),
        conv("x", "b", "v"),
        node("Concat", "a b", "c", axis=1),
        conv("c", "y", "w"),
    ]
    made = lowered(network(nodes, (1, 8, 8, 8), weights(u=(8, 8, 3, 3), v=(4, 8, 3, 3), w=(4, 12, 3, 3))))
    assert [each.kind for each in made.fixed.operators] == [
        "quantize", "kpu_conv", "kpu_conv", "concat", "kpu_conv", "dequantize",
    ]  # fmt: skip
    assert made.snr() > 30


def test_a_concat_at_the_end_keeps_the_ranges_of_its_functions() -> None:
    nodes = [
        conv("x", "a", "u"),
        conv("x", "b", "v"),
        node("Sigmoid", "b", "g"),
        node("Concat", "a g", "y", axis=1),
    ]
    made = lowered(network(nodes, (1, 8, 8, 8), weights(u=(8, 8, 3, 3), v=(4, 8, 3, 3))))
    (tensor,) = (
        each for name, each in made.fixed.tensors.items() if name.startswith("g") and not each.floating
    )
    assert (tensor.scale, tensor.zero_point) == (pytest.approx(1 / 255), 0)
    assert made.snr() > 33


def test_functions_behind_sums_are_looked_up_where_bytes_are_wanted() -> None:
    nodes = [
        conv("x", "a", "u"),
        node("Add", "a x", "s"),
        node("Sigmoid", "s", "g"),
        node("Mul", "s g", "t"),
        conv("t", "y", "w"),
    ]
    made = lowered(network(nodes, (1, 8, 8, 8), weights(u=(8, 8, 3, 3), w=(8, 8, 3, 3))))
    assert made.count("lookup") == 1 and made.count("sigmoid") == made.count("unary") == 0
    assert made.snr() > 30


def test_means_between_layers_are_exact_sums_of_bytes() -> None:
    nodes = [
        conv("x", "a", "u"),
        node("GlobalAveragePool", "a", "m"),
        conv("m", "y", "w", 1),
    ]
    made = lowered(network(nodes, (1, 8, 8, 8), weights(u=(8, 8, 3, 3), w=(4, 8, 1, 1))))
    (reduce,) = made.kinds("reduce")
    assert reduce.parameters["op"] == "sum"
    codes = next(each for each in made.kinds("dequantize") if each.outputs == reduce.inputs)
    numbers = [float(made.fixed.constants[codes.constants[role]]) for role in ("factor", "offset")]
    assert numbers == [1.0, 0.0]
    placed_as_told(made)
    assert made.snr() > 28


def test_what_needs_bytes_of_16_bits_or_a_rule_is_refused() -> None:
    with pytest.raises(ModelbuildError) as caught:
        lowered(network([node("Hardmax", "x", "y")], (2, 9), {}))
    assert "Hardmax" in str(caught.value) and "Hardmax_y" in str(caught.value)


def test_every_operator_is_lowered() -> None:
    for name, (graph, least) in CASES.items():
        with row(name):
            made = lowered(graph())
            assert made.snr() > least
            placed_as_told(made)


def test_every_operator_runs_in_floats() -> None:
    for name, (graph, _) in CASES.items():
        with row(name):
            made = lowered(graph(), chip="nncase-cpu")
            assert made.fixed.arithmetic == "float32" and made.snr() > 100


def random_network(seed: int) -> tuple[list[Node], dict[str, Any]]:
    """Layers, sums, pools, moves and functions in a row."""
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    constants: dict[str, Any] = {}
    tensor, channels, size = "x", 4, 16
    kept: list[tuple[str, int, int]] = []
    for place in range(int(rng.integers(3, 9))):
        made = f"t{place}"
        kind = str(rng.choice(["conv", "conv", "depthwise", "function", "pool", "sum", "join"]))
        if kind == "sum":
            others = [name for name, c, s in kept if (c, s) == (channels, size) and name != tensor]
            if others:
                nodes.append(node("Add", f"{tensor} {rng.choice(others)}", made))
                tensor = made
        elif kind == "join":
            others = [(name, c) for name, c, s in kept if s == size and name != tensor and c + channels < 24]
            if others:
                other, more = others[int(rng.integers(len(others)))]
                nodes.append(node("Concat", f"{tensor} {other}", made, axis=1))
                tensor, channels = made, channels + more
        elif kind == "function":
            op = str(rng.choice(["Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "Elu"]))
            nodes.append(node(op, tensor, made))
            tensor = made
        elif kind == "pool" and size >= 4:
            op = str(rng.choice(["MaxPool", "AveragePool"]))
            nodes.append(node(op, tensor, made, kernel_shape=[2, 2], strides=[2, 2]))
            tensor, size = made, size // 2
        elif kind in ("conv", "depthwise"):
            kernel, outputs = int(rng.choice([1, 3])), int(rng.integers(2, 9))
            stride = int(rng.choice([1, 1, 2])) if size >= 4 else 1
            group = channels if kind == "depthwise" else 1
            outputs = channels if kind == "depthwise" else outputs
            shape = {f"w{place}": (outputs, channels // group, kernel, kernel)}
            drawn = weights(**shape)
            constants |= {key: np.roll(value, place, axis=0) for key, value in drawn.items()}
            nodes.append(conv(tensor, made, f"w{place}", kernel, stride=stride, group=group))
            tensor, channels, size = made, outputs, -(-size // stride)
        kept.append((tensor, channels, size))
    return nodes, constants


@pytest.mark.parametrize("seed", few(range(30), 15))
def test_random_networks(seed: int) -> None:
    nodes, constants = random_network(seed)
    if not nodes:
        pytest.skip("nothing was drawn")
    made = lowered(network(nodes, (1, 4, 16, 16), constants), settings={"split": False})
    assert made.snr() > 20
    on_kpu = {name for each in made.kinds("kpu_conv") for name in each.origin}
    assert on_kpu >= {name for name, unit in made.units.items() if unit != "cpu"}
