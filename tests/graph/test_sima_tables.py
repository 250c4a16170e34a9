"""SiMa's operator list (model-compatibility.md), its limits line by line."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.graph.model import Graph
from tests.graph.tables import conv, on_npu, one, pool

FOUR = (1, 8, 16, 16)
HAS = """
Add Clip Div Elu Erf Exp Gelu HardSigmoid HardSwish InstanceNormalization LRN LeakyRelu Log Mul Reciprocal
Relu ReduceMax ReduceSum Sigmoid Softplus SpaceToDepth DepthToSpace Split Sqrt Sub Swish Tanh
GlobalAveragePool GlobalMaxPool MatMul
"""
HAS_NOT = "Gather GridSample ReduceMin ReduceProd TopK Where NonMaxSuppression LSTM Sin Abs Neg Softsign Selu"

LIMITS: list[tuple[str, Graph, bool]] = [
    ("Conv stride 31", conv(stride=(31, 1)), True),
    ("Conv stride 32", conv(stride=(1, 32)), False),
    ("Conv dilation 63", conv(dilations=[63, 1]), True),
    ("Conv dilation 64", conv(dilations=[1, 64]), False),
    *((f"ConvTranspose {s}", conv(stride=(s, s), op="ConvTranspose"), True) for s in (1, 2, 4, 8, 16)),
    ("ConvTranspose 3", conv(stride=(3, 3), op="ConvTranspose"), False),
    ("ConvTranspose dilated", conv(op="ConvTranspose", dilations=[2, 2]), False),
    ("ConvTranspose depthwise 2", conv(stride=(2, 2), op="ConvTranspose", group=8), True),
    ("ConvTranspose depthwise 4", conv(stride=(4, 4), op="ConvTranspose", group=8), False),
    ("ConvTranspose grouped", conv(op="ConvTranspose", group=2), False),
    ("MaxPool 127", pool("MaxPool", (127, 127), (1, 1), (1, 8, 256, 256)), True),
    ("MaxPool 128", pool("MaxPool", (128, 128), (1, 1), (1, 8, 256, 256)), False),
    ("MaxPool of the whole map", pool("MaxPool", (200, 200), (1, 1), (1, 8, 200, 200)), True),
    ("MaxPool dilated", pool("MaxPool", (3, 3), (1, 1), dilations=[2, 2]), False),
    ("MaxPool ceil", pool("MaxPool", (3, 3), (2, 2), ceil_mode=1), False),
    ("AveragePool counting", pool("AveragePool", (3, 3), (1, 1), pads=[1] * 4, count_include_pad=1), True),
    ("AveragePool not counting", pool("AveragePool", (3, 3), (1, 1), pads=[1] * 4), False),
    ("AveragePool of the whole map", pool("AveragePool", (200, 200), (1, 1), (1, 8, 200, 200)), True),
    ("Concat of channels", one("Concat", FOUR, (1, 16, 16, 16), np.zeros(FOUR, np.float32), axis=1), True),
    ("Concat of samples", one("Concat", FOUR, (2, 8, 16, 16), np.zeros(FOUR, np.float32), axis=0), False),
    ("Softmax of channels", one("Softmax", FOUR, FOUR, axis=1), True),
    ("Softmax of columns", one("Softmax", FOUR, FOUR, axis=3), False),
    ("ArgMax of channels", one("ArgMax", FOUR, (1, 1, 16, 16), axis=1), True),
    ("ArgMax of rows", one("ArgMax", FOUR, (1, 8, 1, 16), axis=2), False),
    ("ArgMax without the axis", one("ArgMax", FOUR, (1, 16, 16), axis=1, keepdims=0), False),
    ("LayerNormalization of channels", one("LayerNormalization", FOUR, FOUR, axis=1), True),
    ("LayerNormalization of columns", one("LayerNormalization", FOUR, FOUR), False),
    ("ReduceMean", one("ReduceMean", FOUR, (1, 8, 1, 1), axes=[2, 3]), True),
    ("ReduceMean of channels", one("ReduceMean", FOUR, (1, 1, 16, 16), axes=[1]), False),
    ("ReduceMean of 128 rows", one("ReduceMean", (1, 8, 128, 4), (1, 8, 1, 4), axes=[2]), False),
    ("ReduceMean without axes", one("ReduceMean", FOUR, (1, 8), axes=[2, 3], keepdims=0), False),
    *((f"Pow {e}", one("Pow", FOUR, FOUR, np.float32(e)), True) for e in (0.5, -0.5, 2, 3)),
    ("Pow 4", one("Pow", FOUR, FOUR, np.float32(4)), False),
    ("Pad of rows", one("Pad", FOUR, (1, 8, 17, 16), np.array([0, 0, 1, 0, 0, 0, 0, 0])), True),
    ("Pad of channels", one("Pad", FOUR, (1, 9, 16, 16), np.array([0, 1, 0, 0, 0, 0, 0, 0])), False),
    ("Pad by ones", one("Pad", FOUR, (1, 8, 17, 16), [0, 0, 1, 0, 0, 0, 0, 0], 1.0), False),
    ("Pad by edges", one("Pad", FOUR, (1, 8, 17, 16), [0, 0, 1, 0, 0, 0, 0, 0], mode="edge"), False),
    ("Transpose", one("Transpose", FOUR, FOUR, perm=[0, 2, 3, 1]), True),
    ("Transpose of the batch", one("Transpose", FOUR, FOUR, perm=[1, 0, 2, 3]), False),
    ("Einsum", one("Einsum", FOUR, FOUR, equation="nhwc,nhqc->nhwq"), True),
    ("Einsum of one", one("Einsum", FOUR, FOUR, equation="nchw->nhwc"), False),
    ("Resize linear", one("Resize", FOUR, (1, 8, 32, 32), mode="linear"), True),
    (
        "Resize linear, aligned",
        one("Resize", FOUR, (1, 8, 32, 32), mode="linear", coordinate_transformation_mode="align_corners"),
        False,
    ),
    (
        "Resize cropping",
        one("Resize", FOUR, FOUR, mode="nearest", coordinate_transformation_mode="tf_crop_and_resize"),
        False,
    ),
    ("CumSum of 257", one("CumSum", (1, 8, 257, 4), (1, 8, 257, 4), 2), True),
    ("CumSum of 258", one("CumSum", (1, 8, 258, 4), (1, 8, 258, 4), 2), False),
    ("CumSum backwards", one("CumSum", FOUR, FOUR, 2, reverse=1), False),
    ("Gelu by tanh", one("Gelu", FOUR, FOUR, approximate="tanh"), False),
    ("Slice backwards", one("Slice", FOUR, FOUR, [-1], [-99], [2], [-1]), False),
    ("Add of rank 3", one("Add", (8, 16, 16), (8, 16, 16), np.float32(1)), False),
]


@pytest.mark.parametrize("chip", ["mlsoc", "modalix"])
def test_the_list(chip: str) -> None:
    assert [op for op in HAS.split() if not on_npu(one(op, FOUR, FOUR), chip)] == []
    assert [op for op in HAS_NOT.split() if on_npu(one(op, FOUR, FOUR), chip)] == []


@pytest.mark.parametrize("chip", ["mlsoc", "modalix"])
def test_limits(chip: str) -> None:
    found = [(name, on_npu(graph, chip)) for name, graph, _ in LIMITS]
    assert found == [(name, runs) for name, _, runs in LIMITS]
