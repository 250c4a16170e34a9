"""Convolutions, pools, resizing and recurrent networks; and what is refused."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from tests.importers.operator_cases import BOOL, I64, Case, F, X, each, ints, w

_RECURRENT = {"hidden_size": 3}


def _windows() -> list[Case]:
    found = []
    for attributes in (
        {},
        {"strides": [2, 1]},
        {"pads": [1, 0, 1, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID"},
    ):
        window = {"kernel_shape": [2, 3], **attributes}
        found += [
            Case("Conv", (X(), w(3, 2, 2, 3), w(3)), window),
            Case("Conv", (X(), w(4, 1, 2, 3)), {**window, "group": 2}),
            Case("ConvTranspose", (X(), w(2, 3, 2, 3), w(3)), window, since=11),
            Case("MaxPool", (X(),), window),
            Case("AveragePool", (X(),), window),
            Case("LpPool", (X(),), window),
        ]
    plain = {"kernel_shape": [2, 3], "strides": [2, 2]}
    found += [
        Case("Conv", (X((1, 2, 9)), w(3, 2, 3)), {"dilations": [2]}),
        Case("Conv", (X((1, 2, 4, 4, 4)), w(3, 2, 2, 2, 2)), {"strides": [2, 1, 1]}),
        Case(
            "ConvTranspose",
            (X(), w(2, 3, 3, 3)),
            {"strides": [2, 2], "output_padding": [1, 1], "pads": [1] * 4},
        ),
        Case("ConvTranspose", (X(), w(2, 1, 3, 3)), {"strides": [2, 2], "group": 2, "output_shape": [9, 9]}),
        Case("MaxPool", (X(),), {**plain, "ceil_mode": 1}, since=10),
        Case("MaxPool", (X(),), {"kernel_shape": [2, 2], "dilations": [2, 1]}, since=10),
        Case("MaxPool", (X(),), plain, since=8, outputs=2),
        Case("AveragePool", (X(),), {**plain, "ceil_mode": 1}, since=10),
        Case("AveragePool", (X(),), {**plain, "pads": [1, 1, 0, 1], "count_include_pad": 1}),
        Case("AveragePool", (X((1, 2, 9)),), {"kernel_shape": [3], "strides": [2]}),
        Case("LpPool", (X(),), {**plain, "p": 1}),
        *each("GlobalAveragePool GlobalMaxPool GlobalLpPool"),
    ]
    return found


def _resizes() -> list[Case]:
    none, scales = np.zeros(0, F), np.array([1, 1, 2, 1.5], F)
    found = [
        Case("Upsample", (X(),), {"scales": [1.0, 1.0, 2.0, 3.0], "mode": mode}, until=9)
        for mode in ("nearest", "linear")
    ]
    for mode in ("nearest", "linear"):
        found.append(Case("Upsample", (X(), np.array([1, 1, 2, 2], F)), {"mode": mode}, since=9, until=10))
        found.append(Case("Resize", (X(), np.array([1, 1, 2, 2], F)), {"mode": mode}, since=10, until=11))
        found.append(Case("Resize", (X(), np.array([1, 1, 0.5, 0.5], F)), {"mode": mode}, since=10, until=11))
    for mode in ("nearest", "linear", "cubic"):
        for way in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
            attributes = {"mode": mode, "coordinate_transformation_mode": way}
            found.append(Case("Resize", (X(), none, scales), attributes, since=11))
            found.append(Case("Resize", (X(), none, none, ints(1, 2, 7, 9)), attributes, since=11))
            found.append(Case("Resize", (X(), None, None, ints(1, 2, 3, 9)), attributes, since=13))
            two = {**attributes, "axes": [2, 3]}
            found.append(Case("Resize", (X(), None, np.array([2, 3], F)), two, since=18))
            found.append(Case("Resize", (X(), None, None, ints(8, 3)), two, since=18))
    for how in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
        found += [Case("Resize", (X(), none, scales), {"nearest_mode": how}, since=11)]
    for policy in ("not_larger", "not_smaller"):
        keep = {"keep_aspect_ratio_policy": policy, "axes": [2, 3]}
        found += [Case("Resize", (X(), None, None, ints(8, 12)), keep, since=18)]
    return found


def _recurrent() -> list[Case]:
    found = []
    for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        x = X((5, 1, 2))
        weights = (w(1, gates * 3, 2), w(1, gates * 3, 3), w(1, gates * 6))
        found.append(Case(op, (x, *weights), _RECURRENT, outputs=2))
        both = tuple(np.concatenate([item, -item]) for item in weights)
        found.append(Case(op, (x, *both), {**_RECURRENT, "direction": "bidirectional"}))
    return found


CASES = (*_windows(), *_resizes(), *_recurrent())

# What set 17 or a fixed shape cannot express: refused with the name of the operator and the node.
REFUSED: tuple[Case, ...] = (
    Case("AffineGrid", (np.array([[[1, 0, 0.1], [0, 1, -0.2]]], F), ints(1, 1, 2, 3))),
    *(Case(op, (X((2, 3), I64), I64(1))) for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")),
    Case("BitwiseNot", (X((2, 3), I64),)),
    Case("BitCast", (X((2, 3)),), {"to": TensorProto.INT32}),
    Case("CausalConvWithState", (X((1, 2, 5)), w(2, 1, 3)), outputs=2),
    Case("Col2Im", (X((1, 5, 5)), ints(5, 5), ints(1, 5))),
    Case("Compress", (X(), X((2,), BOOL)), {"axis": 1}),
    Case("CumProd", (X(), I64(1))),
    Case("DeformConv", (X(), w(2, 2, 2, 2), X((1, 8, 3, 3)))),
    Case("LinearAttention", (X((1, 2, 8)),) * 3, {"q_num_heads": 2, "kv_num_heads": 2}, outputs=2),
    Case("NonMaxSuppression", (X((1, 4, 4)), X((1, 1, 4)), I64(2))),
    Case("NonZero"),
    Case("RotaryEmbedding", (X((1, 2, 3, 4)), w(3, 2), w(3, 2), np.array([[0, 1, 2]]))),
    Case("TensorScatter", (X((1, 4, 2)), X((1, 1, 2)), ints(1))),
    Case("Unique"),
)
