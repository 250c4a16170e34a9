"""The five Kneron tables (operators.md, toolchain v0.33.1) line by line, and those of v0.15.5."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.check import place
from modelbuild.graph.model import Graph
from tests.graph.tables import behind, conv, on_npu, one, pool, recipe

CHIPS = ("kl520", "kl720", "kl530", "kl630", "kl730")
FOUR = (1, 8, 16, 16)
FIVE = (1, 2, 4, 8, 8)
# operator, whether each chip's NPU has it in some form, in the order of CHIPS; all others it has on none
HAS: dict[str, str] = {
    "Abs": "----Y",
    "BatchNormalization": "YYYYY",
    "Div": "--YYY",
    "Elu": "--YYY",
    "Erf": "--YYY",
    "Exp": "-YYYY",
    "GlobalMaxPool": "YYYYY",
    "HardSigmoid": "--YYY",
    "InstanceNormalization": "----Y",
    "LayerNormalization": "----Y",
    "LeakyRelu": "YYYYY",
    "Log": "----Y",
    "Loop": "----Y",
    "Max": "----Y",
    "MaxRoiPool": "-YYYY",
    "Neg": "YYYYY",
    "PRelu": "YYYYY",
    "Reciprocal": "--YYY",
    "ReduceMin": "----Y",
    "Relu": "YYYYY",
    "Reshape": "-YYYY",
    "Sigmoid": "-YYYY",
    "Sign": "----Y",
    "Softmax": "--YYY",
    "Split": "----Y",
    "Sqrt": "--YYY",
    "Sub": "YYYYY",
    "Tanh": "-YYYY",
}
NOWHERE = """
ArgMax ArgMin And Cast Ceil Cos CumSum Einsum Equal Floor GRU GatherND GreaterOrEqual GridSample
GroupNormalization HardSwish Hardmax Identity LRN LSTM LogSoftmax Mean Min Mish Mod NonMaxSuppression Not
OneHot RNN ReduceL1 ReduceL2 ReduceProd RoiAlign Round ScatterND Selu Shape Sin Softplus Softsign Squeeze Sum
Tile TopK Unsqueeze Where
"""


def chips_of(graph: Graph) -> str:
    """Which chips run it, in the order of CHIPS."""
    return "".join("Y" if on_npu(graph, chip) else "-" for chip in CHIPS)


def test_which_chips_have_an_operator() -> None:
    expected = {op: HAS.get(op, "-----") for op in (*HAS, *NOWHERE.split())}
    assert {op: chips_of(one(op, FOUR, FOUR)) for op in expected} == expected


def average(kernel: tuple[int, ...], stride: tuple[int, ...], **more: Any) -> Graph:
    return pool("AveragePool", kernel, stride, **more)


def largest(kernel: tuple[int, ...], stride: tuple[int, ...], **more: Any) -> Graph:
    return pool("MaxPool", kernel, stride, **more)


PADDED = {"pads": [1, 1, 1, 1], "count_include_pad": 1}
CUBIC, LINEAR = {"mode": "cubic"}, {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
FLOOR = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
LINE = (1, 8, 64)


def pad(*amounts: int, **more: Any) -> Graph:
    y = tuple(s + a + b for s, a, b in zip(FOUR, amounts[:4], amounts[4:], strict=True))
    return one("Pad", FOUR, y, np.array(amounts), *more.pop("value", ()), **more)


def product(x: tuple[int, ...], y: tuple[int, ...], other: tuple[int, ...], *, constant: bool) -> Graph:
    graph = one("MatMul", x, y, *([np.zeros(other, np.float32)] if constant else []))
    if not constant:
        graph.nodes[0].inputs.append("z")
        graph.inputs.append("z")
        graph.shapes["z"] = other
    return graph


# note of the table, graph, the chips whose NPU runs it
NOTES: list[tuple[str, Graph, str]] = [
    ("1 Add", one("Add", FOUR, FOUR, np.float32(1)), "YYYYY"),
    ("1 Add 5D", one("Add", FIVE, FIVE, np.float32(1)), "----Y"),
    ("1 Add 5D by its second input", one("Add", (8,), FIVE, np.zeros(FIVE, np.float32)), "----Y"),
    ("1 BatchNormalization 5D", one("BatchNormalization", FIVE, FIVE), "-----"),
    ("1 Concat 5D", one("Concat", FIVE, FIVE, axis=1), "----Y"),
    ("1 Mul", one("Mul", FOUR, FOUR, np.float32(2)), "-YYYY"),
    ("1 Mul 5D", one("Mul", FIVE, FIVE, np.float32(2)), "----Y"),
    ("2-4 average n = s = 8", average((8, 8), (8, 8)), "YYYYY"),
    ("2-4 average n = s = 8, ceil", average((8, 8), (8, 8), ceil_mode=1), "-----"),
    ("2-4 average n = s = 6: s > 3", average((6, 6), (6, 6)), "YYYYY"),
    ("2-4 average 5 by 3", average((5, 5), (3, 3)), "-----"),
    ("2-4 average 2 by 4: s > 3", average((2, 2), (4, 4)), "YYYYY"),
    ("2-4 average 2 by 4 counts pads", average((2, 2), (4, 4), **PADDED), "-----"),
    ("2-4 average 1 by 2", average((1, 1), (2, 2)), "YYYYY"),
    ("2-4 average 1 by 2, ceil", average((1, 1), (2, 2), ceil_mode=1), "-YYYY"),
    ("2-4 average 3 by 2", average((3, 3), (2, 2)), "YYYYY"),
    ("2-4 average 2 by 3: s > k", average((2, 2), (3, 3)), "-YYYY"),
    ("2-4 average 3 dilated", average((3, 3), (1, 1), dilations=[2, 2]), "-----"),
    ("2-4 average 3x1", average((3, 1), (2, 1)), "-YYYY"),
    ("2-4 average 1x3", average((1, 3), (1, 1)), "-YYYY"),
    ("2-4 average 4x1", average((4, 1), (1, 1)), "-----"),
    ("2-4 average of a line", average((3,), (2,), x=LINE), "----Y"),
    ("5 Clip 0..6", one("Clip", FOUR, FOUR, np.float32(0), np.float32(6)), "YYYYY"),
    ("5 Clip 0..", one("Clip", FOUR, FOUR, np.float32(0)), "YYYYY"),
    ("5 Clip -1..1", one("Clip", FOUR, FOUR, np.float32(-1), np.float32(1)), "-----"),
    ("6-8 Conv 12", conv((12, 12)), "YYYYY"),
    ("6-8 Conv 13", conv((13, 1)), "-YYYY"),
    ("6-8 Conv stride 4x16", conv(stride=(4, 16)), "YYYYY"),
    ("6-8 Conv stride 5x1", conv(stride=(5, 1)), "--YYY"),
    ("6-8 Conv stride 1x17", conv(stride=(1, 17)), "--YYY"),
    ("9-10 ConvTranspose 2", conv(stride=(2, 2), op="ConvTranspose"), "-YYYY"),
    ("9-10 ConvTranspose 3", conv(stride=(3, 3), op="ConvTranspose"), "--YYY"),
    ("9-10 ConvTranspose 2x1", conv(stride=(2, 1), op="ConvTranspose"), "----Y"),
    ("11-12 4 channels", one("DepthToSpace", (1, 4, 8, 8), (1, 1, 16, 16), blocksize=2, mode="CRD"), "YYYYY"),
    ("11-12 DCR", one("DepthToSpace", (1, 4, 8, 8), (1, 1, 16, 16), blocksize=2), "--YYY"),
    ("11-12 batch 2", one("DepthToSpace", (2, 4, 8, 8), (2, 1, 16, 16), blocksize=2, mode="CRD"), "--YYY"),
    ("11-12 block 4", one("DepthToSpace", (1, 16, 8, 8), (1, 1, 32, 32), blocksize=4), "--YYY"),
    ("11-12 block 3", one("DepthToSpace", (1, 9, 8, 8), (1, 1, 24, 24), blocksize=3), "-----"),
    ("15-16 Expand rows", one("Expand", (1, 8, 1, 16), FOUR, np.array(FOUR)), "-YYYY"),
    ("15-16 Expand channels", one("Expand", (1, 1, 16, 16), FOUR, np.array(FOUR)), "--YYY"),
    ("15-16 Expand batch", one("Expand", FOUR, (2, 8, 16, 16), np.array([2, 8, 16, 16])), "-----"),
    ("17 Flatten 1", one("Flatten", FOUR, (1, 2048), axis=1), "-YYYY"),
    ("17 Flatten 2", one("Flatten", FOUR, (8, 256), axis=2), "-----"),
    ("18 Gather one", one("Gather", FOUR, (1, 1, 16, 16), np.array([3]), axis=1), "YYYYY"),
    ("18 Gather two", one("Gather", FOUR, (1, 2, 16, 16), np.array([3, 1]), axis=1), "-----"),
    ("Gemm", one("Gemm", (1, 8), (1, 4), np.zeros((8, 4), np.float32)), "YYYYY"),
    ("19-20 16x16", one("GlobalAveragePool", FOUR, (1, 8, 1, 1)), "YYYYY"),
    ("19-20 16x17", one("GlobalAveragePool", (1, 8, 16, 17), (1, 8, 1, 1)), "-YYYY"),
    ("19-20 128x128", one("GlobalAveragePool", (1, 8, 128, 128), (1, 8, 1, 1)), "-YYYY"),
    ("19-20 128x129", one("GlobalAveragePool", (1, 8, 128, 129), (1, 8, 1, 1)), "-----"),
    ("19-20 5D", one("GlobalAveragePool", FIVE, (1, 2, 1, 1, 1)), "-----"),
    ("21 GlobalMaxPool 3 rows", one("GlobalMaxPool", (1, 8, 3, 9), (1, 8, 1, 1)), "-YYYY"),
    ("21 GlobalMaxPool 4 rows", one("GlobalMaxPool", (1, 8, 4, 3), (1, 8, 1, 1)), "YYYYY"),
    ("22-23 by a matrix", product((1, 9, 8), (1, 9, 4), (8, 4), constant=True), "-YYYY"),
    ("22-23 by 1x1xWxV", product((1, 3, 9, 8), (1, 3, 9, 4), (1, 1, 8, 4), constant=True), "-YYYY"),
    ("22-23 by several matrices", product((1, 3, 9, 8), (1, 3, 9, 4), (1, 3, 8, 4), constant=True), "-----"),
    ("22-23 of 4D", product((1, 3, 9, 8), (1, 3, 9, 4), (1, 3, 8, 4), constant=False), "-YYYY"),
    ("22-23 of 3D", product((3, 9, 8), (3, 9, 4), (3, 8, 4), constant=False), "----Y"),
    ("22-23 of 2D", product((9, 8), (9, 4), (8, 4), constant=False), "-----"),
    ("24-25 1 by 2", largest((1, 1), (2, 2)), "YYYYY"),
    ("24-25 8 = 8", largest((8, 8), (8, 8)), "YYYYY"),
    ("24-25 5 by 1", largest((5, 5), (1, 1)), "YYYYY"),
    ("24-25 5 by 1, ceil", largest((5, 5), (1, 1), ceil_mode=1), "-----"),
    ("24-25 3 by 2, ceil", largest((3, 3), (2, 2), ceil_mode=1), "YYYYY"),
    ("24-25 2 by 3", largest((2, 2), (3, 3)), "--YYY"),
    ("24-25 3x1 by 2x1", largest((3, 1), (2, 1)), "--YYY"),
    ("24-25 1x3", largest((1, 3), (1, 1)), "--YYY"),
    ("24-25 3 dilated", largest((3, 3), (1, 1), dilations=[2, 2]), "-----"),
    ("26-27 31 rows", pad(0, 0, 31, 0, 0, 0, 0, 0), "YYYYY"),
    ("26-27 32 rows", pad(0, 0, 32, 0, 0, 0, 0, 0), "-----"),
    ("26-27 40 channels", pad(0, 40, 0, 0, 0, 0, 0, 0), "YYYY-"),
    ("26-27 the batch", pad(1, 0, 0, 0, 0, 0, 0, 0), "-----"),
    ("26-27 edge", pad(0, 0, 1, 0, 0, 0, 0, 0, mode="edge"), "-----"),
    ("26-27 by ones", pad(0, 0, 1, 0, 0, 0, 0, 0, value=[np.float32(1)]), "-----"),
    ("29 square", one("Pow", FOUR, FOUR, np.float32(2)), "-YYYY"),
    ("29 cube", one("Pow", FOUR, FOUR, np.float32(3)), "-----"),
    ("30 ReduceMax", one("ReduceMax", FOUR, (1, 8, 1, 1), axes=[2, 3]), "YYYYY"),
    ("30 ReduceMax without axes", one("ReduceMax", FOUR, (1, 8), axes=[2, 3], keepdims=0), "-----"),
    ("31 ReduceMean", one("ReduceMean", FOUR, (1, 8, 1, 1), axes=[2, 3]), "-YYYY"),
    ("31 ReduceMean of the batch", one("ReduceMean", FOUR, (1, 8, 16, 16), axes=[0]), "-----"),
    ("31 ReduceMean without axes", one("ReduceMean", FOUR, (1, 8), axes=[2, 3], keepdims=0), "-----"),
    ("31-32 ReduceSum of channels", one("ReduceSum", FOUR, (1, 1, 16, 16), np.array([1])), "YYYYY"),
    ("31-32 ReduceSum of rows", one("ReduceSum", FOUR, (1, 8, 1, 16), np.array([2])), "-YYYY"),
    ("31-32 ReduceSum of the batch", one("ReduceSum", (2, 8), (1, 8), np.array([0])), "----Y"),
    ("34-36 cubic", one("Resize", FOUR, (1, 8, 32, 16), **CUBIC), "-----"),
    ("34-36 rows", one("Resize", FOUR, (1, 8, 32, 16), **FLOOR), "YYYYY"),
    ("34-36 both", one("Resize", FOUR, (1, 8, 32, 32), **FLOOR), "Y-YYY"),
    ("34-36 rows, linear", one("Resize", FOUR, (1, 8, 32, 16), **LINEAR), "YYYYY"),
    ("34-36 rows, half a cell off", one("Resize", FOUR, (1, 8, 32, 16), mode="linear"), "--YYY"),
    ("34-36 fewer rows", one("Resize", FOUR, (1, 8, 8, 16), **LINEAR), "Y-YYY"),
    ("34-36 extrapolating", one("Resize", FOUR, (1, 8, 32, 16), **FLOOR, extrapolation_value=1.0), "-----"),
    ("37-38 Slice", one("Slice", FOUR, (1, 4, 16, 16), [0], [4], [1], [1]), "-YYYY"),
    ("37-38 Slice of every other", one("Slice", FOUR, (1, 4, 16, 16), [0], [8], [1], [2]), "-----"),
    ("37-38 Slice 5D", one("Slice", FIVE, (1, 1, 4, 8, 8), [0], [1], [1], [1]), "----Y"),
    ("41 SpaceToDepth 4", one("SpaceToDepth", FOUR, (1, 128, 4, 4), blocksize=4), "--YYY"),
    ("41 SpaceToDepth 8", one("SpaceToDepth", FOUR, (1, 512, 2, 2), blocksize=8), "-----"),
    ("42-43 rows and columns", one("Transpose", FOUR, FOUR, perm=[0, 1, 3, 2]), "-YYYY"),
    ("42-43 channels and rows", one("Transpose", FOUR, (1, 16, 8, 16), perm=[0, 2, 1, 3]), "-YYYY"),
    ("42-43 NHWC", one("Transpose", FOUR, (1, 16, 16, 8), perm=[0, 2, 3, 1]), "--YYY"),
    ("42-43 batch", one("Transpose", FOUR, (8, 1, 16, 16), perm=[1, 0, 2, 3]), "----Y"),
    ("44-46 Upsample columns", one("Upsample", FOUR, (1, 8, 16, 32), mode="nearest"), "YYYYY"),
    ("44-46 Upsample both", one("Upsample", FOUR, (1, 8, 32, 32), mode="linear"), "Y-YYY"),
    ("44-46 Upsample channels", one("Upsample", FOUR, (1, 16, 16, 16), mode="nearest"), "-----"),
]


def test_the_notes_of_the_table() -> None:
    expected = [(note, row) for note, _, row in NOTES]
    assert [(note, chips_of(graph)) for note, graph, _ in NOTES] == expected


NEG = one("Neg", FOUR, FOUR)
FLAT = one("Flatten", FOUR, (1, 2048), axis=1)
WEIGHT = np.broadcast_to(np.float32(0), (2048, 4))

# graph, whether the NPU of KL520 and of KL720 runs it by v0.15.5
OLD: list[tuple[str, Graph, str]] = [
    ("Conv 11", conv((11, 11)), "YY"),
    ("Conv 12", conv((12, 12)), "-Y"),
    ("Conv stride 3", conv(stride=(3, 3)), "-Y"),
    ("Conv stride 4", conv(stride=(4, 4)), "Y-"),
    ("Conv stride 1x15", conv(stride=(1, 15)), "-Y"),
    ("Conv stride 1x16", conv(stride=(1, 16)), "--"),
    ("Conv pad 15", conv(pads=[15, 15, 15, 15]), "YY"),
    ("Conv pad 16", conv(pads=[16, 16, 16, 16]), "-Y"),
    ("Conv depthwise", conv(group=8), "YY"),
    ("ConvTranspose 1", conv(op="ConvTranspose"), "-Y"),
    ("ConvTranspose 2", conv(stride=(2, 2), op="ConvTranspose"), "-Y"),
    ("ConvTranspose 2x1", conv(stride=(2, 1), op="ConvTranspose"), "--"),
    ("MaxPool 3 by 3", largest((3, 3), (3, 3)), "YY"),
    ("MaxPool 2 by 3", largest((2, 2), (3, 3)), "-Y"),
    ("MaxPool 4", largest((4, 4), (4, 4)), "--"),
    ("AveragePool 2 by 2", average((2, 2), (2, 2)), "YY"),
    ("AveragePool 1", average((1, 1), (1, 1)), "-Y"),
    ("AveragePool 8", average((8, 8), (8, 8)), "--"),
    ("GlobalAveragePool 100x100", one("GlobalAveragePool", (1, 8, 100, 100), (1, 8, 1, 1)), "YY"),
    ("GlobalAveragePool 3D", one("GlobalAveragePool", LINE, (1, 8, 1)), "Y-"),
    ("GlobalMaxPool", one("GlobalMaxPool", FOUR, (1, 8, 1, 1)), "YY"),
    ("BatchNormalization 5D", one("BatchNormalization", FIVE, FIVE), "Y-"),
    ("Concat of channels", one("Concat", FOUR, (1, 16, 16, 16), np.zeros(FOUR, np.float32), axis=1), "YY"),
    ("Concat of rows", one("Concat", FOUR, (1, 8, 32, 16), np.zeros(FOUR, np.float32), axis=2), "--"),
    ("Gemm", one("Gemm", (1, 8), (1, 4), np.zeros((8, 4), np.float32)), "YY"),
    ("Clip 0", one("Clip", FOUR, FOUR, np.float32(0), np.float32(6)), "YY"),
    ("Clip -1", one("Clip", FOUR, FOUR, np.float32(-1), np.float32(6)), "--"),
    ("Pad of rows", pad(0, 0, 40, 0, 0, 0, 0, 0), "-Y"),
    ("Pad of channels", pad(0, 1, 0, 0, 0, 0, 0, 0), "--"),
    ("Flatten", FLAT, "Y-"),
    ("Slice 4D", one("Slice", FOUR, (1, 4, 16, 16), [0], [4], [1], [1]), "-Y"),
    ("Upsample", one("Upsample", FOUR, (1, 8, 32, 32), mode="nearest"), "YY"),
    *((op, one(op, FOUR, FOUR), "YY") for op in ("Relu", "LeakyRelu", "PRelu", "Add")),
    *((op, one(op, FOUR, FOUR), "-Y") for op in ("Sigmoid", "Tanh", "Mul", "MaxRoiPool")),
    *((op, one(op, FOUR, FOUR), "--") for op in ("Neg", "Sub", "Exp", "Softmax", "Transpose", "Abs")),
]


def test_the_tables_of_v0_15_5() -> None:
    def found(graph: Graph) -> str:
        return "".join("Y" if on_npu(graph, chip, "v0.15.5") else "-" for chip in ("kl520", "kl720"))

    assert [(name, found(graph)) for name, graph, _ in OLD] == [(name, row) for name, _, row in OLD]


def test_what_flattens_before_a_gemm() -> None:
    graph = behind(FLAT, "Gemm", (1, 4), WEIGHT)
    reshape = behind(one("Reshape", FOUR, (1, 2048), np.array([1, 2048])), "Gemm", (1, 4), WEIGHT)
    for before in (graph, reshape):
        placement = place(before, recipe("kl720", None, "v0.15.5"))
        assert list(placement.units.values()) == ["npu", "npu"]


@pytest.mark.parametrize(("chosen", "other"), [("v0.15.5", "v0.33.1"), ("v0.33.1", "v0.15.5")])
@pytest.mark.parametrize(
    ("graph", "only", "why"),
    [
        (NEG, "v0.33.1", "it has no Neg"),
        (conv(stride=(3, 3)), "v0.33.1", "stride 3 is not 1 or 2 or 4"),
        (one("GlobalAveragePool", (1, 8, 17, 17), (1, 8, 1, 1)), "v0.15.5", "cells 289 > 256"),
    ],
)
def test_a_node_that_one_edition_has_is_a_warning_that_names_both(
    graph: Graph, only: str, why: str, chosen: str, other: str
) -> None:
    (found,) = (f for f in place(graph, recipe("kl520", None, chosen)).findings if f.code == "MB109")
    assert found.severity == "warning" and found.node == "n"
    without = chosen if only == other else other
    assert f"runs it by edition {only} only; by {without}, " in found.message and why in found.message


def test_a_node_that_both_editions_have_is_no_finding() -> None:
    for edition in ("v0.15.5", "v0.33.1"):
        for chip in ("kl520", "kl720"):
            assert place(conv(), recipe(chip, None, edition)).findings == ()
