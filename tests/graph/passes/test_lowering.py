"""Passes that recipes name: each operator in terms of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph.passes import run_passes
from tests.graph.small import Step, after, graph, numbers, only, ops, untouched

CASES: list[tuple[str, Step, dict[str, Any], tuple[int, ...], list[str]]] = [
    (
        "split_to_slice",
        ("Split", "x s", ["a", "b"], {"axis": -3}),
        {"s": [1, 3]},
        (1, 4, 4, 4),
        ["Slice", "Slice"],
    ),
    (
        "gemm_to_conv",
        ("Gemm", "x w b", "y", {"transB": 1}),
        {"w": numbers(3, 6), "b": numbers(3)},
        (2, 6),
        ["Reshape", "Conv", "Reshape"],
    ),
    (
        "depth_to_space_to_transpose",
        ("DepthToSpace", "x", "y", {"blocksize": 2}),
        {},
        (1, 8, 2, 3),
        ["Reshape", "Transpose", "Reshape"],
    ),
    (
        "depth_to_space_to_transpose",
        ("DepthToSpace", "x", "y", {"blocksize": 2, "mode": "CRD"}),
        {},
        (1, 8, 2, 3),
        ["Reshape", "Transpose", "Reshape"],
    ),
    (
        "space_to_depth_to_transpose",
        ("SpaceToDepth", "x", "y", {"blocksize": 2}),
        {},
        (1, 2, 4, 6),
        ["Reshape", "Transpose", "Reshape"],
    ),
    ("hard_swish_to_mul", ("HardSwish", "x", "y"), {}, (1, 2, 4, 4), ["HardSigmoid", "Mul"]),
    (
        "flat_to_spatial",
        ("Conv", "x w", "y", {"pads": [1, 0], "strides": [2]}),
        {"w": numbers(3, 2, 3)},
        (1, 2, 9),
        ["Reshape", "Conv", "Reshape"],
    ),
    (
        "flat_to_spatial",
        ("MaxPool", "x", "y", {"kernel_shape": [3], "pads": [1, 1]}),
        {},
        (1, 2, 9),
        ["Reshape", "MaxPool", "Reshape"],
    ),
    (
        "flat_to_spatial",
        ("ConvTranspose", "x w", "y", {"strides": [2], "output_padding": [1]}),
        {"w": numbers(2, 3, 3)},
        (1, 2, 9),
        ["Reshape", "ConvTranspose", "Reshape"],
    ),
    (
        "layer_normalization_to_primitives",
        ("LayerNormalization", "x w b", "y"),
        {"w": numbers(6), "b": numbers(6)},
        (2, 3, 6),
        ["ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div", "Mul", "Add"],
    ),
    (
        "instance_normalization_to_primitives",
        ("InstanceNormalization", "x w b", "y"),
        {"w": numbers(3), "b": numbers(3)},
        (2, 3, 5, 4),
        ["ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div", "Mul", "Add"],
    ),
    ("divide_to_reciprocal", ("Div", "x x", "y"), {}, (1, 2, 4, 4), ["Reciprocal", "Mul"]),
    ("identity_to_reshape", ("Identity", "x", "y"), {}, (1, 2, 4), ["Reshape"]),
    ("global_pool_to_pool", ("GlobalAveragePool", "x", "y"), {}, (1, 2, 4, 3), ["AveragePool"]),
    ("global_pool_to_pool", ("GlobalMaxPool", "x", "y"), {}, (1, 2, 4, 3), ["MaxPool"]),
]


@pytest.mark.parametrize(("name", "step", "constants", "shape", "expected"), CASES, ids=[c[0] for c in CASES])
def test_lowered(
    name: str, step: Step, constants: dict[str, Any], shape: tuple[int, ...], expected: list[str]
) -> None:
    result = after(name, graph([step], constants, x=shape))
    assert ops(result) == expected
    assert all(node.origin == result.nodes[0].origin != () for node in result.nodes)


def test_an_unknown_pass_is_named_with_the_nearest() -> None:
    with pytest.raises(ModelbuildError) as caught:
        run_passes(graph([("Relu", "x", "y")]), ["fold_padd"])
    assert "fold_padd" in str(caught.value) and "`fold_pad`" in str(caught.value)


def test_results_count_nodes_and_the_given_graph_stays() -> None:
    before = graph([("Identity", "x", "a"), ("Relu", "a", "y")])
    result, rows = run_passes(before, ["remove_no_ops"])
    assert [row.to_json() for row in rows] == [
        {"name": "remove_no_ops", "nodes_before": 2, "nodes_after": 1, "changes": 1}
    ]
    assert ops(before) == ["Identity", "Relu"] and ops(result) == ["Relu"]


def test_a_division_by_a_constant_stays() -> None:
    untouched("divide_to_reciprocal", graph([("Div", "x c", "y")], {"c": numbers(1)}))


def reshaped(name: str, source: str, shape: str = "s") -> Step:
    return ("Reshape", f"{source} {shape}", name)


def test_an_element_wise_operator_changes_places_with_reshapes() -> None:
    steps = [
        reshaped("a", "x"),
        ("Relu", "a", "b"),
        reshaped("c", "z"),
        ("Add", "b c", "d"),
        ("Mul", "k d", "y"),
    ]
    constants = {"s": [1, 2, 12], "k": 2.0}
    result = after("reshape_behind_elementwise", graph(steps, constants, x=(1, 2, 3, 4), z=(1, 2, 3, 4)))
    behind = only(result, "Mul")
    assert result.shapes[behind.outputs[0]] == (1, 2, 3, 4)
    assert result.nodes[-1].op == "Reshape" and result.nodes[-1].outputs == ["y"]


@pytest.mark.parametrize(
    "steps",
    [
        [reshaped("a", "x"), ("Add", "a row", "y")],  # a row of a signal is none of the picture
        [reshaped("a", "x", "other"), reshaped("b", "y", "other"), ("Add", "a b", "z")],
        [reshaped("a", "x"), ("Softmax", "a", "z")],
    ],
)
def test_what_does_not_commute_with_a_reshape_stays(steps: list[Step]) -> None:
    constants = {"s": [1, 2, 12], "other": [1, 2, 12], "row": numbers(12)}
    untouched("reshape_behind_elementwise", graph(steps, constants, x=(1, 2, 3, 4), y=(1, 2, 4, 3)))


def test_whole_numbers_stay_whole_numbers() -> None:
    """What a pass adds has the type of what it stands for."""
    whole = ("Cast", "x", "i", {"to": 6})
    behind = graph([whole, ("Reshape", "i s", "r"), ("Neg", "r", "y")], {"s": [2, 16]})
    after("reshape_behind_elementwise", behind)


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (2, 3, 5), (2, 3)])
def test_one_slope_is_a_leaky_relu(shape: tuple[int, ...]) -> None:
    slope = np.full((3, *(1,) * (len(shape) - 2)), -0.5, np.float32)
    found = after("prelu_to_conv", graph([("PRelu", "x s", "y")], {"s": slope}, x=shape))
    assert only(found, "LeakyRelu").attributes == {"alpha": -0.5}


def test_slopes_that_no_convolution_can_take_stay() -> None:
    """Another reader of what the Conv makes, a grouped Conv, no Conv, a slope a cell."""
    slopes = {"s": numbers(2, 1, 1), "w": numbers(2, 2, 1, 1), "g": numbers(2, 1, 1, 1)}
    steps = [("Conv", "x w", "a"), ("PRelu", "a s", "p"), ("Add", "a p", "y")]
    untouched("prelu_to_conv", graph(steps, slopes))
    grouped = [("Conv", "x g", "a", {"group": 2}), ("PRelu", "a s", "y")]
    untouched("prelu_to_conv", graph(grouped, slopes))
    untouched("prelu_to_conv", graph([("PRelu", "x s", "y")], slopes))
    cells = [("Conv", "x w", "a"), ("PRelu", "a s", "y")]
    untouched("prelu_to_conv", graph(cells, {**slopes, "s": numbers(1, 4, 4)}))


def test_a_number_of_more_axes_than_a_picture_stays() -> None:
    many = {"s": [2, 16], "c": np.ones((1,) * 5, np.float32)}
    untouched("reshape_behind_elementwise", graph([("Reshape", "x s", "r"), ("Add", "r c", "y")], many))


def head(**more: Any) -> Any:
    steps = [("GlobalAveragePool", "x", "m"), ("Reshape", "m s", "f"), ("Gemm", "f w b", "y", {"transB": 1})]
    constants = {"s": [2, 3], "w": numbers(3, 3), "b": numbers(3), **more}
    return graph(steps, constants, x=(2, 3, 4, 6))


def test_a_mean_moves_behind_the_product() -> None:
    result = after("mean_behind_gemm", head())
    assert ops(result) == ["Conv", "GlobalAveragePool", "Reshape"]
    assert result.shapes[only(result, "Conv").outputs[0]] == (2, 3, 4, 6)


def test_a_mean_stays_before_a_product_of_a_large_map_of_other_rows_or_of_more_outputs() -> None:
    steps = [("GlobalAveragePool", "x", "m"), ("Reshape", "m s", "f"), ("Gemm", "f w", "y", {"transB": 1})]
    large = graph(steps, {"s": [2, 3], "w": numbers(3, 3)}, x=(2, 3, 8, 9))
    turned = graph(steps, {"s": [3, 2], "w": numbers(2, 2)}, x=(2, 3, 4, 4))
    for each in (large, turned, head(w=numbers(4, 3), b=numbers(4))):
        untouched("mean_behind_gemm", each)
    untouched("mean_behind_gemm", head(), 2)
    assert ops(after("mean_behind_gemm", head(), 3))[0] == "Conv"


def pooled(*functions: Step, group: int = 1) -> Any:
    """A Conv `c`, a MaxPool `p` of it, and functions."""
    pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 1, 1, 0]}
    steps = [("Conv", "x w", "c", {"group": group}), ("MaxPool", "c", "p", pool), *functions]
    constants = {"low": np.float32(-0.5), "high": np.float32(2.0), "n": np.float32(-3.0)}
    return graph(steps, {"w": numbers(2, 2 // group, 1, 1), **constants}, x=(1, 2, 9, 8))


def test_rising_functions_come_before_a_max_pool() -> None:
    lines = [("Clip", "p low high", "a"), ("LeakyRelu", "a", "b"), ("Add", "n b", "d"), ("Sub", "d n", "e")]
    source = pooled(*lines, ("Sigmoid", "e", "y"))
    result = after("function_before_max_pool", source)
    assert ops(result) == ["Conv", "Clip", "LeakyRelu", "Add", "Sub", "Sigmoid", "MaxPool"]
    assert only(result, "MaxPool").name == only(source, "MaxPool").name
    assert ops(after("function_before_max_pool", pooled(("Relu", "p", "y"), group=2)))[1] == "Relu"


@pytest.mark.parametrize(
    "functions",
    [
        [("LeakyRelu", "p", "y", {"alpha": -0.5})],
        [("Mul", "p n", "y")],
        [("Sub", "n p", "y")],
        [("HardSwish", "p", "y")],
        [("Abs", "p", "y")],
        [("Add", "p p", "y")],
        [("Relu", "p", "a"), ("Add", "a p", "y")],
        [("Relu", "p", "a"), ("GlobalMaxPool", "c", "m"), ("Add", "a m", "y")],
    ],
)
def test_functions_that_may_fall_or_have_other_readers_stay_behind_a_max_pool(functions: list[Step]) -> None:
    untouched("function_before_max_pool", pooled(*functions))


def test_a_function_stays_behind_a_pool_of_what_no_layer_makes() -> None:
    pool = ("MaxPool", "x", "p", {"kernel_shape": [2, 2], "strides": [2, 2]})
    untouched("function_before_max_pool", graph([pool, ("Relu", "p", "y")], {}, x=(1, 2, 4, 4)))
    untouched("function_before_max_pool", pooled(("Sigmoid", "p", "y"), group=2))
