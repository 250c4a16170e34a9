"""KPU layers: windows, strides, paddings, groups, functions and pools, each held against the float model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.model import Node
from modelbuild.kpu.lowering import builders
from modelbuild.kpu.lowering.layered import LAYERS
from tests.kpu.emitting import running
from tests.kpu.lowering.made import Lowered, conv, lowered, network, weights
from tests.quantize.cases import F, normal

LEAST = 33.0  # dB: three tensors of 8 bits


def one(
    channels: int, size: tuple[int, int], outputs: int, kernel: int, group: int = 1, **more: Any
) -> Lowered:
    made = weights(w=(outputs, channels // group, kernel, kernel))
    node = conv("x", "y", "w", kernel, group=group, **more)
    return lowered(network([node], (1, channels, *size), made))


def test_every_operator_that_may_be_a_layer_has_a_builder() -> None:
    assert set(builders.BUILDERS) == LAYERS


WINDOWS: dict[str, tuple[dict[str, Any], list[str]]] = {
    # name -> what the layer is, the kinds beside the layer and its conversions
    "1x1": ({"kernel": 1}, []),
    "3x3": ({"kernel": 3}, []),
    "1x1 stride 2": ({"kernel": 1, "stride": 2}, []),
    "3x3 stride 2": ({"kernel": 3, "stride": 2}, []),
    "3x3 stride 2, TensorFlow's pads": ({"kernel": 3, "stride": 2, "pads": [0, 0, 1, 1]}, ["pad", "slice"]),
    "3x3 without pads": ({"kernel": 3, "pads": 0}, ["slice"]),
    "3x3 with pads of 2": ({"kernel": 3, "pads": 2}, ["pad"]),
    "2x2": ({"kernel": 2, "pads": [0, 0, 1, 1]}, []),
    "2x2 stride 2": ({"kernel": 2, "pads": 0, "stride": 2}, []),
    "uneven pads": ({"kernel": 3, "pads": [2, 0, 1, 1]}, ["pad", "slice"]),
    "uneven strides": ({"kernel": 3, "stride": [1, 2]}, ["slice"]),
    "stride 3": ({"kernel": 3, "stride": 3}, ["slice"]),
    "depthwise": ({"kernel": 3, "group": 8, "outputs": 8}, []),
    "groups": ({"kernel": 3, "group": 2}, []),
    "dilated by 2": (
        {"kernel": 3, "outputs": 24, "pads": 2, "dilations": [2, 2]},
        ["pad", "slice", "concat"],
    ),
    "dilated by 3": (
        {"kernel": 3, "outputs": 24, "pads": 3, "dilations": [3, 3]},
        ["pad", "slice", "concat"],
    ),
}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("size", [(12, 14), (7, 9), (5, 4)])
def test_a_window_is_one_layer(name: str, size: tuple[int, int]) -> None:
    given, beside = WINDOWS[name]
    made = one(8, size, **{"outputs": 6, **given})
    assert made.snr() > LEAST
    assert made.count("kpu_conv") == 1
    extra = {each.kind for each in made.fixed.operators} - {"quantize", "kpu_conv", "dequantize"}
    assert extra - {"pad", "slice"} == {*beside} - {"pad", "slice"}
    assert extra >= {*beside} - {"slice"}


@pytest.mark.parametrize("name", ["1x1", "3x3", "3x3 stride 2", "2x2 stride 2", "depthwise", "groups"])
def test_what_the_chip_has_needs_nothing_beside_the_layer(name: str) -> None:
    made = one(8, (12, 14), **{"outputs": 6, **WINDOWS[name][0]})
    assert [each.kind for each in made.fixed.operators] == ["quantize", "kpu_conv", "dequantize"]


@pytest.mark.parametrize(
    ("kernel", "stride", "pads", "copies"),
    [
        (5, 1, 2, 4),
        (5, 2, 2, 4),
        (7, 1, 3, 9),
        (7, 2, 3, 16),  # of 4 phases each, a fourth of the cells
        (4, 1, [1, 1, 2, 2], 4),
        (5, 1, 0, 4),
        (9, 1, 4, 9),
    ],
)
def test_wide_windows_are_3x3_on_copies(kernel: int, stride: int, pads: Any, copies: int) -> None:
    made = one(8, (61, 66), 24, kernel, pads=pads, stride=stride)
    (layer,) = made.kinds("kpu_conv")
    assert made.fixed.constants[layer.constants["weight"]].shape[1:] == (8 * copies, 3, 3)
    assert made.snr() > LEAST


@pytest.mark.parametrize("given", [{"outputs": 2}, {"outputs": 8, "group": 8}], ids=["few", "depthwise"])
def test_a_wide_window_of_few_products_stays_on_the_cpu(given: dict[str, int]) -> None:
    made = one(8, (14, 14), kernel=5, **given)
    assert made.count("kpu_conv") == 0 and made.count("conv") == 1
    assert made.snr() > 100


def test_small_maps_are_padded_to_the_least() -> None:
    made = one(8, (3, 1), 6, 3)
    (layer,) = made.kinds("kpu_conv")
    assert made.fixed.tensors[layer.inputs[0]].shape == (1, 8, 4, 4)
    assert made.snr() > LEAST


def functions() -> dict[str, list[Node]]:
    def node(op: str, *inputs: str, to: str = "y", **attributes: Any) -> Node:
        return Node(op, f"{op}_{to}", list(inputs), [to], attributes)

    return {
        "relu": [node("Relu", "t")],
        "relu6": [node("Clip", "t", "zero", "six")],
        "leaky": [node("LeakyRelu", "t", alpha=0.1)],
        "sigmoid": [node("Sigmoid", "t")],
        "tanh": [node("Tanh", "t")],
        "silu": [node("Sigmoid", "t", to="g"), node("Mul", "t", "g")],
        "hard swish": [node("HardSwish", "t")],
        "elu": [node("Elu", "t")],
        "softplus": [node("Softplus", "t")],
        "mish": [
            node("Softplus", "t", to="p"),
            node("Tanh", "p", to="h"),
            node("Mul", "h", "t"),
        ],
        "celu": [node("Celu", "t", alpha=0.7)],
        "atan": [node("Atan", "t")],
        "asin": [node("Clip", "t", "minus", "six", to="c"), node("Asin", "c")],
        "acosh": [node("Exp", "t", to="e"), node("Add", "e", "six", to="a"), node("Acosh", "a")],
        "shrink": [node("Shrink", "t", lambd=0.1, bias=0.1)],
        "thresholded": [node("ThresholdedRelu", "t", alpha=0.3)],
        "round": [node("Round", "t")],
        "sign": [node("Sign", "t")],
        "two in a row": [node("LeakyRelu", "t", to="l", alpha=0.2), node("Tanh", "l")],
    }


JUMPS = {"round": 14, "sign": 18}  # dB, as a sum that is a little off jumps too


@pytest.mark.parametrize("name", functions())
def test_functions_are_part_of_the_layer(name: str) -> None:
    constants = {**weights(w=(6, 8, 3, 3)), "zero": np.array(0, F), "six": np.array(1, F)}
    constants["minus"] = np.array(-1, F)
    made = lowered(network([conv("x", "t", "w"), *functions()[name]], (1, 8, 12, 14), constants))
    assert [each.kind for each in made.fixed.operators] == ["quantize", "kpu_conv", "dequantize"]
    assert "t" not in made.fixed.tensors and "t/bytes" not in made.fixed.tensors
    assert made.snr() > JUMPS.get(name, 31)


def test_what_others_read_is_left_by_the_layer() -> None:
    nodes = [conv("x", "t", "w"), Node("Sigmoid", "s", ["t"], ["y"])]
    made = lowered(network(nodes, (1, 8, 12, 14), weights(w=(6, 8, 3, 3)), "t", "y"))
    assert made.count("kpu_conv") == 1 and made.count("sigmoid") == 1
    assert made.snr() > LEAST


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (2, 1), (4, 4)])
@pytest.mark.parametrize("size", [(12, 16), (13, 15)])
def test_pools_are_part_of_the_layer(op: str, kernel: int, stride: int, size: tuple[int, int]) -> None:
    pool = Node(op, "pool", ["r"], ["y"], {"kernel_shape": [kernel] * 2, "strides": [stride] * 2})
    nodes = [conv("x", "t", "w"), Node("Relu", "relu", ["t"], ["r"]), pool]
    made = lowered(network(nodes, (1, 8, *size), weights(w=(6, 8, 3, 3))))
    (layer,) = made.kinds("kpu_conv")
    of = "max" if op == "MaxPool" else "mean"
    assert layer.parameters["pool"] == f"{of}_{kernel}_s{stride}"
    assert made.count("window") == 0 and made.snr() > 30


def test_a_pool_behind_a_window_without_pads_is_part_of_the_layer() -> None:
    pool = Node("MaxPool", "pool", ["t"], ["y"], {"kernel_shape": [2, 2], "strides": [2, 2]})
    made = lowered(network([conv("x", "t", "w", pads=0), pool], (1, 8, 14, 17), weights(w=(6, 8, 3, 3))))
    assert made.kinds("kpu_conv")[0].parameters["pool"] == "max_2_s2"
    assert made.count("window") == 0 and made.snr() > LEAST


def test_many_output_channels_are_several_layers() -> None:
    made = one(8, (6, 6), 1500, 1)
    assert [len(made.fixed.constants[each.constants["weight"]]) for each in made.kinds("kpu_conv")] == [
        752,
        748,
    ]
    assert made.count("concat") == 1 and made.snr() > LEAST


def test_large_maps_are_several_layers_where_the_memory_is_too_small() -> None:
    made = one(8, (128, 256), 64, 1)
    assert made.count("kpu_conv") == 2 and made.snr() > LEAST


def test_layers_are_divided_by_the_memory_that_is_to_be_used() -> None:
    graph = network([conv("x", "y", "w")], (1, 8, 16, 64), weights(w=(8, 8, 3, 3)))
    whole, half = lowered(graph), lowered(graph, sram_bytes=12_800)
    assert (whole.count("kpu_conv"), half.count("kpu_conv")) == (1, 2)
    running.compiled(half.fixed, sram_bytes=12_800)
    for sample in whole.samples:
        assert np.array_equal(whole.outputs(sample)["y"], half.outputs(sample)["y"])


def test_a_layer_is_divided_with_the_depthwise_one_behind_it() -> None:
    """The map between never leaves the KPU; each part is cut before the parts are joined."""
    made_of = weights(u=(96, 16, 1, 1), w=(96, 1, 3, 3), v=(8, 96, 1, 1))
    nodes = [
        conv("x", "a", "u", 1),
        conv("a", "b", "w", 3, [0, 0, 1, 1], 2, group=96),
        conv("b", "y", "v", 1),
    ]
    shape = (1, 16, 112, 112)
    made = lowered(network(nodes, shape, made_of), samples=[{"x": normal(*shape, seed=3)}])
    kinds = [each.kind for each in made.fixed.operators]
    assert kinds == [
        "quantize", "kpu_conv", "kpu_conv", "slice", "kpu_conv", "kpu_conv", "slice", "concat", "kpu_conv",
        "dequantize",
    ]  # fmt: skip
    assert [each.origin[0] for each in made.kinds("kpu_conv")] == ["conv_a", "conv_b"] * 2 + ["conv_y"]
    assert "a" not in made.fixed.tensors and made.snr() > 28
    compiled = running.compiled(made.fixed)
    assert sorted(len(function.layers) for function in compiled.functions) == [1, 4]


def test_depthwise_layers_share_their_channels_where_the_memory_is_too_small() -> None:
    made = one(40, (112, 111), 40, 3, 40, stride=2)
    assert made.count("kpu_conv") == 1
    made = one(96, (112, 111), 96, 3, 96, stride=2)
    sizes = [made.fixed.tensors[each.inputs[0]].shape[1] for each in made.kinds("kpu_conv")]
    assert sum(sizes) == 96 and len(sizes) == 2 and made.snr() > LEAST


@pytest.mark.parametrize(("rows", "depth", "outputs"), [(1, 1000, 950), (3, 600, 300), (40, 600, 300)])
def test_a_large_product_is_a_layer(rows: int, depth: int, outputs: int) -> None:
    node = Node("Gemm", "gemm", ["x", "w", "w_b"], ["t"], {"transB": 1})
    nodes = [node, Node("Relu", "relu", ["t"], ["y"])]
    made = lowered(network(nodes, (rows, depth), weights(w=(outputs, depth))))
    assert made.count("kpu_conv") == 1 and made.count("matmul") == 0
    assert made.snr() > LEAST


def test_a_small_product_alone_stays_on_the_cpu() -> None:
    node = Node("Gemm", "gemm", ["x", "w", "w_b"], ["y"], {"transB": 1})
    made = lowered(network([node], (1, 64), weights(w=(10, 64))))
    assert made.count("kpu_conv") == 0 and made.snr() > 100


def test_a_batch_runs_through_the_layers() -> None:
    made = lowered(network([conv("x", "y", "w")], (3, 8, 6, 7), weights(w=(6, 8, 3, 3))))
    assert made.count("kpu_conv") == 1 and made.snr() > LEAST


def test_weights_are_those_of_the_record() -> None:
    made = lowered(
        network([conv("x", "y", "w", 1)], (1, 2, 4, 4), {"w": normal(3, 2, 1, 1), "w_b": normal(3)})
    )
    (layer,) = made.kinds("kpu_conv")
    weight = made.fixed.constants[layer.constants["weight"]].astype(int) - 128
    assert np.abs(weight).reshape(3, -1).max(axis=1).tolist() == [127, 127, 127]
