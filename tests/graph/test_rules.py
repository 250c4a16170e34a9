"""Each condition of operator rules, where it holds and where it breaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.chips.conditions import CONDITIONS
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rules import RULES, broken
from modelbuild.graph.subject import Subject

X = (1, 8, 16, 20)


def subject(
    op: str, *constants: Any, x: tuple[int, ...] = X, y: tuple[int, ...] = X, **attributes: Any
) -> Subject:
    names = [f"c{index}" for index in range(len(constants))]
    node = Node(op, "n", ["x", *names], ["y"], attributes)
    values = {name: np.asarray(value) for name, value in zip(names, constants, strict=True)}
    graph = Graph("g", [node], ["x"], ["y"], values, {"x": x, "y": y})
    return Subject(node, graph, {}, graph.producers(), graph.consumers())


def test_the_vocabulary_and_its_meaning_agree() -> None:
    assert set(RULES) == set(CONDITIONS)


WEIGHT = np.zeros((8, 8, 3, 5), np.float32)

CASES: list[tuple[Subject, str, Any, Any, str]] = [
    # subject, condition, an argument that holds, one that breaks, what is said
    (subject("Relu"), "rank", {"max": 4}, {"max": 3}, "rank 4 > 3"),
    (subject("MatMul", np.zeros((2, 3))), "other_rank", [2, 4], 3, "rank of the second input 2 is not 3"),
    (subject("Reshape", y=(1, 2560)), "output_rank", 2, 4, "rank of the output 2 is not 4"),
    (subject("DepthToSpace"), "channels", 8, 4, "channels 8 is not 4"),
    (subject("GlobalMaxPool"), "height", {"min": 4}, {"min": 17}, "height 16 < 17"),
    (
        subject("GlobalMaxPool"),
        "spatial_size",
        {"max": 320},
        {"max": 319},
        "size of the map in cells 320 > 319",
    ),
    (subject("Conv", WEIGHT), "kernel", {"max": 5}, {"max": 4}, "kernel 5 > 4"),
    (subject("MaxPool", kernel_shape=[4, 8]), "kernel", {"power_of_two": True}, [4], "kernel 8 is not 4"),
    (subject("Conv", WEIGHT, strides=[5, 7]), "stride", [5, 7], {"max": 6}, "stride 7 > 6"),
    (subject("Conv", WEIGHT, strides=[5, 7]), "stride_h", {"max": 5}, {"max": 4}, "stride 5 > 4"),
    (subject("Conv", WEIGHT, strides=[5, 7]), "stride_w", {"max": 7}, {"max": 6}, "stride 7 > 6"),
    (subject("Conv", WEIGHT), "dilation", 1, 2, "dilation 1 is not 2"),
    (subject("Pad", [0, 0, 3, 0, 0, 0, 0, 4]), "pads", {"max": 4}, {"max": 3}, "pad 4 > 3"),
    (subject("Conv", WEIGHT, group=8), "group", ["depthwise"], ["one"], "grouping depthwise is not one"),
    (
        subject("Conv", WEIGHT, group=2),
        "group",
        ["grouped"],
        ["one", "depthwise"],
        "grouping grouped is not one or",
    ),
    (subject("MaxPool", ceil_mode=1), "ceil_mode", 1, 0, "ceil_mode 1 is not 0"),
    (
        subject("AveragePool", pads=[1, 1, 1, 1], count_include_pad=0),
        "count_include_pad",
        0,
        1,
        "count_include_pad 0 is not 1",
    ),
    (subject("ReduceMax"), "keepdims", 1, 0, "keepdims 1 is not 0"),
    (subject("DepthToSpace", blocksize=2), "blocksize", [2, 4], 4, "blocksize 2 is not 4"),
    (subject("Resize", mode=b"linear"), "mode", ["linear"], ["nearest"], "mode linear is not nearest"),
    (subject("Pad", [0] * 8), "mode", ["constant"], ["reflect"], "mode constant is not reflect"),
    (
        subject("Resize"),
        "coordinate_mode",
        ["half_pixel"],
        ["asymmetric"],
        "coordinate mode half_pixel is not asymmetric",
    ),
    (subject("Pad", [0] * 8, 1.5), "pad_value", 1.5, 0, "pad value 1.5 is not 0"),
    (subject("Pow", 2.0), "exponent", [2, 3], 0.5, "exponent 2 is not 0.5"),
    (subject("Clip", 0.0, 6.0), "lower_bound", 0, 1, "lower bound 0 is not 1"),
    (subject("Clip", 0.0, 6.0), "upper_bound", {"min": 0}, {"max": 1}, "upper bound 6 > 1"),
    (subject("Clip"), "lower_bound", {"max": 0}, 0, "lower bound -inf is not 0"),
    (subject("Concat", axis=-3), "axes", 1, 2, "axis 1 is not 2"),
    (subject("ReduceSum", [-1, 1]), "axes", [1, 3], {"min": 2}, "axis 1 < 2"),
    (subject("ReduceMean", axes=[2, 3]), "axes", {"min": 2}, 2, "axis 3 is not 2"),
    (subject("Slice", y=(1, 8, 8, 20)), "axes", 2, 3, "axis 2 is not 3"),
    (subject("Transpose", perm=[0, 1, 3, 2]), "axes", [2, 3], 1, "axis 2 is not 1"),
    (subject("Pad", [0, 0, 1, 0, 0, 0, 0, 0]), "axes", 2, 1, "axis 2 is not 1"),
    (subject("Expand", x=(8, 1, 20), y=X), "axes", 2, 1, "axis 2 is not 1"),
    (subject("ReduceMean", axes=[2, 3]), "axis_size", {"max": 20}, {"max": 16}, "size of an axis 20 > 16"),
    (subject("Slice", [0], [9], [2], [2]), "steps", 2, 1, "step 2 is not 1"),
    (
        subject("Transpose", perm=[0, 2, 1, 3]),
        "permutation",
        [[0, 2, 1, 3]],
        [[0, 1, 3, 2]],
        "permutation [0, 2",
    ),
    (subject("Gather", [3, 4]), "index_count", 2, 1, "number of indices 2 is not 1"),
    (subject("DepthToSpace"), "batch", 1, {"min": 2}, "batch 1 < 2"),
    (subject("Conv", WEIGHT, y=(1, 6, 16, 20)), "output_channels", 6, {"max": 5}, "output channels 6 > 5"),
    (subject("Conv", WEIGHT), "width", {"max": 20}, {"max": 19}, "width 20 > 19"),
    # 20 columns: two channels beside one another in a row of 64 bytes, 16 lines of 4 such rows, in and out
    (subject("Conv", WEIGHT), "row_memory", {"max": 8192}, {"max": 8191}, "bytes of the maps 8,192 > 8,191"),
    (
        subject("Conv", WEIGHT),
        "input_memory",
        {"max": 4096},
        {"max": 4095},
        "bytes of the input map 4,096 > 4,095",
    ),
    (subject("Conv", WEIGHT), "kernel_h", 3, 5, "kernel 3 is not 5"),
    (subject("Conv", WEIGHT), "kernel_w", 5, 3, "kernel 5 is not 3"),
    (subject("Pad", [0, 9, 3, 0, 0, 0, 0, 4]), "spatial_pads", {"max": 4}, {"max": 3}, "pad 4 > 3"),
    (subject("MaxPool", pads=[0, 1, 2, 0]), "spatial_pads", {"max": 2}, 0, "pad 1 is not 0"),
    (subject("CumSum", 2, reverse=1), "reverse", 1, 0, "reverse 1 is not 0"),
    (subject("CumSum", 2), "axis_size", {"max": 16}, {"max": 15}, "size of an axis 16 > 15"),
    (
        subject("Resize", nearest_mode=b"floor"),
        "nearest_mode",
        ["floor"],
        ["ceil"],
        "nearest mode floor is not ceil",
    ),
    (subject("Gelu"), "approximate", ["none"], ["tanh"], "approximate none is not tanh"),
    (
        subject("Resize", extrapolation_value=1.5),
        "extrapolation_value",
        1.5,
        0,
        "extrapolation value 1.5 is not 0",
    ),
    (subject("Resize", y=(1, 8, 32, 40)), "changed_axes", 2, 1, "number of axes that change 2 is not 1"),
    (subject("MatMul", WEIGHT), "constant_input", [1], [0], "input 0 (`x`) is not a constant"),
    (subject("MatMul", WEIGHT), "computed_input", [0], [1], "input 1 (`c0`) is a constant"),
]


@pytest.mark.parametrize(("case", "name", "holds", "breaks", "said"), CASES)
def test_conditions_with_numbers_or_names(
    case: Subject, name: str, holds: Any, breaks: Any, said: str
) -> None:
    assert broken(case, {name: holds}) == []
    (reason,) = broken(case, {name: breaks})
    assert reason.startswith(said)


FLAGS: list[tuple[str, Subject, Subject, str]] = [
    (
        "kernel_is_square",
        subject("MaxPool", kernel_shape=[3, 3]),
        subject("MaxPool", kernel_shape=[3, 1]),
        "square",
    ),
    ("stride_is_square", subject("Conv", WEIGHT), subject("Conv", WEIGHT, strides=[1, 2]), "strides differ"),
    (
        "stride_equals_kernel",
        subject("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
        subject("MaxPool", kernel_shape=[2, 2]),
        "stride is not the kernel",
    ),
    (
        "stride_within_kernel",
        subject("MaxPool", kernel_shape=[2, 2], strides=[2, 1]),
        subject("MaxPool", kernel_shape=[2, 2], strides=[1, 3]),
        "larger than the kernel",
    ),
    ("one_direction", subject("Resize", y=(1, 8, 32, 40)), subject("Resize", y=(1, 8, 32, 10)), "shrinks"),
    ("enlarges", subject("Resize", y=(1, 8, 32, 20)), subject("Resize", y=(1, 8, 32, 10)), "smaller"),
    (
        "covers_map",
        subject("MaxPool", kernel_shape=[16, 20]),
        subject("MaxPool", kernel_shape=[16, 16]),
        "whole map",
    ),
    (
        "other_is_matrix",
        subject("MatMul", np.zeros((1, 1, 2, 3))),
        subject("MatMul", np.zeros((1, 2, 2, 3))),
        "more than one matrix",
    ),
    (
        "batch_matmul",
        subject("Einsum", equation=b"nhwc, nhqc -> nhwq"),
        subject("Einsum", equation="jk,kk->j"),
        "no product of matrices",
    ),
    (
        "batch_matmul",
        subject("Einsum", equation="ij,jk->ik"),
        subject("Einsum", equation="jk,k->k"),
        "no product of matrices",
    ),
    ("flattens", subject("Reshape", y=(1, 2560)), subject("Reshape", y=(8, 320)), "not a flattening"),
    ("keeps_batch", subject("Reshape", y=(1, 2560)), subject("Reshape", y=(8, 320)), "the batch"),
    (
        "keeps_batch",
        subject("Transpose", perm=[0, 3, 1, 2], y=(1, 20, 8, 16)),
        subject("Transpose", x=(2, 2), y=(2, 2), perm=[1, 0]),
        "the batch",
    ),
]


@pytest.mark.parametrize(("name", "holds", "breaks", "said"), FLAGS)
def test_flags(name: str, holds: Subject, breaks: Subject, said: str) -> None:
    assert broken(holds, {name: True}) == []
    (reason,) = broken(breaks, {name: True})
    assert said in reason


def between(first: str, second: str, **attributes: Any) -> tuple[Graph, dict[str, Node]]:
    """x -> `first` -> y -> `second` -> z."""
    before, behind = Node(first, "a", ["x"], ["y"], attributes), Node(second, "b", ["y"], ["z"])
    return Graph("g", [before, behind], ["x"], ["z"], {}, dict.fromkeys("xyz", X)), {"a": before, "b": behind}


def test_what_reads_a_node() -> None:
    graph, nodes = between("Flatten", "Gemm")
    one = Subject(nodes["a"], graph, {}, graph.producers(), graph.consumers())
    assert broken(one, {"before": ["Gemm"]}) == []
    assert broken(one, {"before": ["Conv"]}) == ["its output is read by Gemm, where only Conv may"]
    graph.outputs.append("y")
    assert broken(one, {"before": ["Gemm"]}) == [
        "its output is one of the model, where only Gemm may read it"
    ]
    nothing = broken(one.at(nodes["b"]), {"before": ["Gemm"]})
    assert nothing == ["its output is one of the model, where only Gemm may read it"]


def test_the_grouping_of_the_convolution_before_a_pool_is_found_behind_what_is_fused() -> None:
    graph, nodes = between("Conv", "Relu", group=8)
    nodes["p"] = Node("MaxPool", "p", ["z"], ["end"])
    graph.nodes.append(nodes["p"])
    graph.shapes["end"] = X
    units = {"a": "npu", "b": "fused"}
    pool = Subject(nodes["p"], graph, units, graph.producers(), graph.consumers())
    assert broken(pool, {"after_group": ["depthwise"]}) == []
    assert broken(pool, {"after_group": ["one"]}) == ["grouping before it depthwise is not one"]
    assert broken(pool.at(nodes["a"]), {"after_group": ["one"]}) == ["nothing is computed before it"]
    assert broken(pool, {"after_stride": 1, "behind_npu": True}) == []
    assert broken(pool, {"after_stride": 2}) == ["stride before it 1 is not 2"]
    assert broken(pool.at(nodes["a"]), {"behind_npu": True}) == ["nothing before it runs on the NPU"]


def test_no_nearest_mode_is_asked_of_what_interpolates() -> None:
    assert broken(subject("Resize", mode="linear"), {"nearest_mode": ["floor"]}) == []


def test_padding_that_is_not_there_need_not_be_counted() -> None:
    assert broken(subject("AveragePool", pads=[0] * 4), {"count_include_pad": 1}) == []


def test_an_absent_optional_input_is_no_dynamic_one() -> None:
    assert broken(subject("Conv", WEIGHT), {"constant_input": [1, 2]}) == []


def test_broken_conditions_come_in_the_rules_order() -> None:
    found = broken(subject("Conv", WEIGHT, strides=[5, 7]), {"stride": 1, "rank": 3, "kernel": {"max": 9}})
    assert found == ["stride 5 is not 1", "rank 4 is not 3"]
