"""Operators that move, choose and count numbers."""

from __future__ import annotations

import numpy as np

from tests.importers.operator_cases import BOOL, I64, Case, F, X, ints, w

_V = X((2, 3))
_B = X((2, 3), BOOL)


def _shaping() -> list[Case]:
    return [
        Case("Concat", (X(), X(), w(1, 2, 4, 4)), {"axis": 1}),
        Case("Concat", (X(), X()), {"axis": -1}, since=11),
        Case("Expand", (_V, ints(4, 2, 1))),
        Case("Flatten"),
        Case("Flatten", (X(),), {"axis": 3}),
        Case("Flatten", (X(),), {"axis": 0}),
        Case("Flatten", (X(),), {"axis": -1}, since=11),
        Case("Reshape", (X(), ints(0, -1, 2))),
        Case("Reshape", (X(), ints(4, 8)), {"allowzero": 1}, since=14),
        Case("Slice", (X(),), {"starts": [1, 0], "ends": [3, -1], "axes": [2, 3]}, until=10),
        Case("Slice", (X(),), {"starts": [0, 1], "ends": [1, 2]}, until=10),
        Case("Slice", (X(), ints(1, -1), ints(2**31, -(2**31)), ints(2, -1), ints(2, -1)), since=10),
        Case("Slice", (X(), ints(0, 1), ints(1, 2)), since=10),
        Case("Squeeze", (X((1, 2, 1, 3)),)),
        Case("Squeeze", (X((1, 2, 1, 3)),), {"axes": [2]}, until=13),
        Case("Squeeze", (X((1, 2, 1, 3)), ints(-2)), since=13),
        Case("Unsqueeze", (_V,), {"axes": [0, 3]}, until=13),
        Case("Unsqueeze", (_V, ints(-1, 0)), since=13),
        Case("Split", (X(),), {"axis": 2}, outputs=2, until=18),
        Case("Split", (X(),), {"axis": 2, "split": [1, 3]}, outputs=2, until=13),
        Case("Split", (X(), ints(1, 3)), {"axis": -1}, outputs=2, since=13),
        Case("Split", (X(),), {"axis": 1, "num_outputs": 2}, outputs=2, since=18),
        Case("Split", (X((1, 5, 2)),), {"axis": 1, "num_outputs": 3}, outputs=3, since=18),
        Case("Tile", (_V, ints(2, 3))),
        Case("Transpose"),
        Case("Transpose", (X(),), {"perm": [0, 2, 3, 1]}),
        Case("DepthToSpace", (X((1, 8, 2, 3)),), {"blocksize": 2}),
        Case("DepthToSpace", (X((1, 8, 2, 3)),), {"blocksize": 2, "mode": "CRD"}, since=11),
        Case("SpaceToDepth", (X(),), {"blocksize": 2}),
        Case("Pad", (X(),), {"pads": [0, 0, 1, 0, 0, 0, 0, 2], "value": 1.5}, until=11),
        *(
            Case("Pad", (X(),), {"pads": [0, 0, 1, 0, 0, 0, 0, 2], "mode": m}, until=11)
            for m in ("edge", "reflect")
        ),
        Case("Pad", (X(), ints(0, 0, 1, 0, 0, 0, 0, 2), F(1.5)), since=11),
        *(
            Case("Pad", (X(), ints(0, 0, 1, 0, 0, 0, 0, 2)), {"mode": m}, since=11)
            for m in ("edge", "reflect")
        ),
        Case("Pad", (X(), ints(1, 2), F(0.5), ints(3)), since=18),
        Case("Pad", (X(), ints(1, 2), None, ints(-1)), since=18),
        Case("Pad", (X(), ints(0, 0, 1, 0, 0, 0, 0, 2)), {"mode": "wrap"}, since=19),
        Case("CenterCropPad", (X(), ints(2, 6)), {"axes": [2, 3]}),
    ]


def _indexing() -> list[Case]:
    at = ints(0, 2, 1, 3).reshape(1, 1, 2, 2)
    put = np.zeros((1, 2, 4, 4), I64) + np.arange(4)
    return [
        Case("Gather", (X(), ints(1, 0)), {"axis": 1}),
        Case("Gather", (X(), I64(-1)), {"axis": 2}, since=11),
        Case("GatherElements", (X(), at), {"axis": 2}),
        Case("GatherND", (X(), ints(0, 1).reshape(1, 2))),
        Case("GatherND", (X((2, 3, 4)), ints(1, 2).reshape(2, 1)), {"batch_dims": 1}, since=12),
        Case("Scatter", (X(), put, X()), {"axis": 3}, until=11),
        Case("ScatterElements", (X(), put, X()), {"axis": 3}),
        Case("ScatterND", (X((4, 2)), ints(2, 0).reshape(2, 1), X((2, 2)))),
        Case("ArgMax", (X(),), {"axis": 1}),
        Case("ArgMin", (X(),), {"axis": 2, "keepdims": 0}),
        Case("ArgMax", (X(),), {"axis": -1, "select_last_index": 1}, since=12),
        Case("TopK", (X(),), {"axis": 3, "k": 2}, outputs=2, until=10),
        Case("TopK", (X(), ints(2)), {"axis": 3}, outputs=2, since=10),
        Case("TopK", (X(), ints(2)), {"axis": -1, "largest": 0}, outputs=2, since=11),
        Case("OneHot", (X((3,), I64), I64(4), np.array([0, 1], F)), {"axis": 0}),
        Case("CumSum", (X(), I64(2))),
        Case("CumSum", (X(), I64(1)), {"exclusive": 1, "reverse": 1}),
        Case("ReverseSequence", (X((4, 3, 2)), ints(2, 4, 1)), {"batch_axis": 1, "time_axis": 0}),
        Case("Trilu", (X((3, 4)), I64(1)), {"upper": 0}),
        Case("Range", (I64(0), I64(6), I64(2))),
        Case("Where", (X((2, 3), BOOL), _V, F(2))),
        Case("EyeLike", (X((3, 4)),), {"k": 1}),
        Case(
            "MaxUnpool",
            (X((1, 1, 2, 2)), ints(5, 7, 13, 15).reshape(1, 1, 2, 2)),
            {"kernel_shape": [2, 2], "strides": [2, 2]},
        ),
        Case(
            "RoiAlign", (X(), np.array([[0, 0, 3, 3]], F), ints(0)), {"output_height": 2, "output_width": 2}
        ),
        Case(
            "RoiAlign",
            (X(), np.array([[0, 0, 3, 3]], F), ints(0)),
            {"output_height": 2, "output_width": 2, "coordinate_transformation_mode": "output_half_pixel"},
            since=16,
        ),
        Case("MaxRoiPool", (X(), np.array([[0, 0, 0, 3, 3]], F)), {"pooled_shape": [2, 2]}),
        Case("GridSample", (X(), w(1, 3, 3, 2))),
        Case("GridSample", (X(), w(1, 3, 3, 2)), {"mode": "nearest", "padding_mode": "border"}),
        Case(
            "GridSample",
            (X(), w(1, 3, 3, 2)),
            {"mode": "cubic", "padding_mode": "reflection", "align_corners": 1},
            since=20,
        ),
    ]


def _reductions() -> list[Case]:
    ops = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]
    found = []
    for name in ops:
        op, since = f"Reduce{name}", 13 if name == "Sum" else 18
        for keep in (0, 1):
            found += [
                Case(op, (X(),), {"axes": [1, 3], "keepdims": keep}, until=since),
                Case(op, (X(),), {"axes": [-1], "keepdims": keep}, since=11, until=since),
                Case(op, (X(), ints(1, -1)), {"keepdims": keep}, since=since),
            ]
        found += [Case(op), Case(op, (X(), ints()), since=since)]
        found += [Case(op, (X(), None), {"noop_with_empty_axes": noop}, since=since) for noop in (0, 1)]
    return found


CASES = (*_shaping(), *_indexing(), *_reductions())
