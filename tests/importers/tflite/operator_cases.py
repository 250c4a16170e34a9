"""One small model for each TFLite operator and each of its settings that change what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.importers.tflite import cases_windows
from tests.importers.tflite.builder import Options
from tests.importers.tflite.case import Case, Data
from tests.importers.tflite.cases_windows import IMAGE, ints, weights


def _elementwise() -> list[Case]:
    row, number = weights(4), np.float32(1.5)
    pairs: Mapping[str, Any] = {
        "row": row,
        "number": number,
        "picture": weights(1, 7, 6, 4),
        "tensor": IMAGE,
    }
    cases = [
        Case(f"{op} {name}", op, (IMAGE, other), {0: ("b", 1)} if op == "ADD" else {})
        for op in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
        for name, other in pairs.items()
    ]
    cases += [
        Case(f"{op} activation {code}", op, (IMAGE, IMAGE), {0: ("b", code)})
        for op in ("ADD", "SUB", "MUL")
        for code in (0, 1, 2, 3)
    ]
    cases += [Case(op, op, (IMAGE,)) for op in ("RELU", "RELU6", "RELU_N1_TO_1", "TANH", "LOGISTIC")]
    cases += [Case(op, op, (IMAGE,)) for op in ("HARD_SWISH", "ELU", "EXP", "ABS", "NEG", "SQUARE", "FLOOR")]
    cases += [Case(op, op, (IMAGE,)) for op in ("CEIL", "ROUND", "SIN", "COS", "L2_NORMALIZATION")]
    cases += [Case(op, op, (IMAGE,)) for op in ("LOG_SOFTMAX", "RELU_0_TO_1", "SIGN")]
    positive = Data((1, 3, 4, 2), positive=True)
    cases += [Case(op, op, (positive,)) for op in ("LOG", "SQRT", "RSQRT")]
    comparisons = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
    cases += [Case(op, op, (IMAGE, row), outputs=("bool",)) for op in comparisons]
    cases += [
        Case("gelu", "GELU", (IMAGE,)),
        Case("gelu by tanh", "GELU", (IMAGE,), {0: ("B", True)}),
        Case("leaky", "LEAKY_RELU", (IMAGE,), {0: ("f", 0.2)}),
        Case("prelu a channel", "PRELU", (IMAGE, weights(1, 1, 4))),
        Case("prelu a cell", "PRELU", (IMAGE, weights(7, 6, 4))),
        Case("softmax", "SOFTMAX", (IMAGE,), {0: ("f", 1.0)}),
        Case("softmax beta", "SOFTMAX", (Data((3, 5)),), {0: ("f", 0.5)}),
        Case("div", "DIV", (IMAGE, Data((1, 7, 6, 4), positive=True)), {0: ("b", 0)}),
        Case("pow", "POW", (positive, np.float32(2.5))),
        Case("floor div", "FLOOR_DIV", (IMAGE, row)),
        Case("floor div integers", "FLOOR_DIV", (Data((1, 4, 3, 2), "int32"), ints(-3)), outputs=("int32",)),
        Case("floor mod", "FLOOR_MOD", (IMAGE, row)),
        Case("add three", "ADD_N", (IMAGE, IMAGE, IMAGE)),
        Case("higher rank constant", "ADD", (Data((6, 4)), weights(1, 7, 6, 4))),
        Case("higher rank tensor", "MUL", (Data((6, 4)), IMAGE)),
        Case("cast", "CAST", (Data((1, 3, 3, 2), "int32"),), {0: ("b", 2), 1: ("b", 0)}),
        Case("select rows", "SELECT", (np.array([True, False]), Data((2, 3, 4)), Data((2, 3, 4)))),
        Case("select", "SELECT_V2", (np.array([True, False, True, False]), IMAGE, row)),
        Case(
            "local response", "LOCAL_RESPONSE_NORMALIZATION", (IMAGE,),
            {0: ("i", 2), 1: ("f", 1.0), 2: ("f", 0.3), 3: ("f", 0.75)},
        ),
    ]  # fmt: skip
    return cases


def _shaping() -> list[Case]:
    return [
        Case("reshape", "RESHAPE", (IMAGE, ints(1, 6, -1)), {0: ("v", [1, 6, 28])}),
        Case("reshape by option", "RESHAPE", (IMAGE,), {0: ("v", [6, 28])}),
        Case("reshape ones", "RESHAPE", (IMAGE, ints(7, 1, 6, 4)), {0: ("v", [7, 1, 6, 4])}),
        Case("squeeze all", "SQUEEZE", (Data((1, 7, 1, 4)),)),
        Case("squeeze one", "SQUEEZE", (Data((1, 7, 1, 4)),), {0: ("v", [2])}),
        Case("squeeze last", "SQUEEZE", (Data((1, 7, 4, 1)),), {0: ("v", [-1])}),
        *(
            Case(f"expand {axis} of {rank}", "EXPAND_DIMS", (Data((2, 7, 4)[:rank]), np.int32(axis)))
            for rank in (2, 3)
            for axis in range(-1, rank + 1)
        ),
        Case("transpose", "TRANSPOSE", (IMAGE, ints(0, 2, 1, 3))),
        Case("transpose all", "TRANSPOSE", (IMAGE, ints(3, 2, 0, 1))),
        Case("pad", "PAD", (IMAGE, np.array([[0, 0], [1, 2], [3, 0], [0, 1]], np.int32))),
        Case("pad by", "PADV2", (IMAGE, np.array([[0, 0], [1, 2], [3, 0], [0, 1]], np.int32), np.float32(3))),
        *(
            Case(f"mirror {mode} {size}", "MIRROR_PAD", (IMAGE, _mirror(size)), {0: ("b", mode)})
            for mode in (0, 1)
            for size in (1, 3)
        ),
        *(
            Case(f"concat {axis}", "CONCATENATION", (IMAGE, IMAGE, weights(1, 7, 6, 4)), {0: ("i", axis)})
            for axis in (0, 1, 2, 3, -1)
        ),
        Case("slice", "SLICE", (IMAGE, ints(0, 1, 2, 1), ints(1, 3, -1, 2)), shape=(1, 3, 4, 2)),
        Case("split", "SPLIT", (np.int32(3), IMAGE), {0: ("i", 2)}, ("float32",) * 2),
        Case("split rows", "SPLIT", (np.int32(-2), IMAGE), {0: ("i", 3)}, ("float32",) * 3),
        Case("split by", "SPLIT_V", (IMAGE, ints(2, -1), np.int32(1)), {0: ("i", 2)}, ("float32",) * 2),
        *(
            Case(f"pack {axis}", "PACK", (Data((2, 3, 4)),) * 2, {0: ("i", 2), 1: ("i", axis)})
            for axis in (0, 1, 2, 3, -1)
        ),
        Case("unpack", "UNPACK", (Data((1, 3, 2, 4)),), {0: ("i", 3), 1: ("i", 1)}, ("float32",) * 3),
        Case("gather", "GATHER", (IMAGE, ints(2, 0, 2)), {0: ("i", 3)}),
        Case("gather a grid", "GATHER", (IMAGE, np.array([[2, 0], [1, 1]], np.int32)), {0: ("i", 2)}),
        Case("gather one", "GATHER", (IMAGE, np.int32(3)), {0: ("i", 1)}),
        Case("gather nd", "GATHER_ND", (IMAGE, np.array([[0, 1], [0, 5]], np.int32))),
        *(
            Case(
                f"gather {axis} in {batch} batches",
                "GATHER",
                (Data((2, 3, 4, 5)), _indices(*shape)),
                {0: ("i", axis), 1: ("i", batch)},
            )
            for axis, batch, shape in ((1, 1, (2, 2)), (3, 1, (2, 3)), (2, 2, (2, 3, 2)), (3, -1, (2, 3)))
        ),
        Case("lookup", "EMBEDDING_LOOKUP", (Data((3,), "int32"), weights(5, 4))),
        Case(
            "one hot",
            "ONE_HOT",
            (Data((2, 3), "int32"), np.int32(4), np.float32(5), np.float32(-1)),
            {0: ("i", 1)},
        ),
        *(
            Case(
                f"cumulated {flags}",
                "CUMSUM",
                (IMAGE, np.int32(-1)),
                {0: ("B", flags[0]), 1: ("B", flags[1])},
            )
            for flags in ((0, 0), (1, 1))
        ),
        Case("space to batch", "SPACE_TO_BATCH_ND", (Data((2, 5, 6, 3)), ints(3, 2), _pairs(1, 0, 0, 2))),
        Case("batch to space", "BATCH_TO_SPACE_ND", (Data((12, 5, 6, 3)), ints(3, 2), _pairs(1, 0, 0, 2))),
        Case("rows to batch", "SPACE_TO_BATCH_ND", (Data((1, 6, 3)), ints(2), _pairs(0, 0))),
        Case("tile", "TILE", (IMAGE, ints(1, 2, 1, 3))),
        Case("broadcast", "BROADCAST_TO", (Data((1, 1, 6, 1)), ints(2, 3, 6, 4))),
        Case("reverse", "REVERSE_V2", (IMAGE, ints(2))),
        Case("depth to space", "DEPTH_TO_SPACE", (Data((1, 3, 2, 8)),), {0: ("i", 2)}),
        Case("space to depth", "SPACE_TO_DEPTH", (Data((1, 4, 6, 3)),), {0: ("i", 2)}),
    ]


def _indices(*shape: int) -> Any:
    return np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape) % 3


def _pairs(*values: int) -> Any:
    return np.array(values, np.int32).reshape(-1, 2)


def _mirror(size: int) -> Any:
    return np.array([[0, 0], [size, size - 1], [0, size], [0, 0]], np.int32)


def _strided(name: str, begin: Any, end: Any, stride: Any, *masks: int) -> Case:
    options: Options = {slot: ("i", mask) for slot, mask in enumerate(masks)}
    return Case(f"strided {name}", "STRIDED_SLICE", (IMAGE, begin, end, stride), options)


def _slices() -> list[Case]:
    """Masks: begin, end, ellipsis, new axis, shrink."""
    return [
        _strided("plain", ints(0, 1, 0, 0), ints(1, 5, 6, 3), ints(1, 2, 1, 1)),
        _strided("open", ints(0, 3, 0, 0), ints(0, 0, 0, 2), ints(1, 1, 2, 1), 0b0101, 0b0111),
        _strided("from behind", ints(0, -3, 0, -2), ints(1, -1, 6, 4), ints(1, 1, 1, 1)),
        _strided("backwards", ints(0, 6, 0, 0), ints(1, 1, 6, 4), ints(1, -2, 1, 1)),
        _strided("all backwards", ints(0, 0, 0, 0), ints(1, 0, 6, 4), ints(1, -1, 1, 1), 0b10, 0b10),
        _strided("fewer entries", ints(0, 2), ints(1, 5), ints(1, 1)),
        _strided("index", ints(0, 2, 0, 1), ints(1, 3, 6, 2), ints(1, 1, 1, 1), 0, 0, 0, 0, 0b1010),
        _strided("last", ints(0, 0, 0, -1), ints(1, 7, 6, 0), ints(1, 1, 1, 1), 0, 0, 0, 0, 0b1000),
        _strided("ellipsis", ints(0, 1), ints(0, 3), ints(1, 1), 0, 0, 0b01),
        _strided("open index", ints(0, 3, 1, 0), ints(1, 4, 6, 4), ints(1, 1, 1, 1), 0b10, 0, 0, 0, 0b10),
        _strided("past the end", ints(0, 0, 2, 0), ints(9, 99, 99, 9), ints(1, 1, 1, 1)),
    ]


def _reductions() -> list[Case]:
    ops = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
    cases = [
        Case(f"{op} {axes} keep {keep}", op, (Data((1, 3, 2, 4)), ints(*axes)), {0: ("B", keep)})
        for op in ops
        for axes in ((1, 2), (3,), (-3,), (1, 3))
        for keep in (False, True)
    ]
    cases += [
        Case(f"{op} {axis} {kind}", op, (IMAGE, np.int32(axis)), {0: ("b", code)}, (kind,))
        for op in ("ARG_MAX", "ARG_MIN")
        for axis, kind, code in ((-1, "int32", 2), (1, "int64", 4))
    ]
    cases += [
        Case(op, op, (Data((2, 3, 4), "bool"), ints(1)), {0: ("B", False)}, ("bool",))
        for op in ("REDUCE_ANY", "REDUCE_ALL")
    ]
    cases.append(Case("top", "TOPK_V2", (IMAGE, np.int32(2)), {}, ("float32", "int32")))
    return cases


def _resizes() -> list[Case]:
    cases = []
    for size in ((14, 12), (3, 2), (11, 7), (1, 1), (21, 6)):
        for align, half in ((False, False), (True, False), (False, True)):
            name = f"{size} align {align} half {half}"
            cases += [
                Case(
                    f"bilinear {name}", "RESIZE_BILINEAR", (IMAGE, ints(*size)),
                    {2: ("B", align), 3: ("B", half)},
                ),
                Case(
                    f"nearest {name}", "RESIZE_NEAREST_NEIGHBOR", (IMAGE, ints(*size)),
                    {0: ("B", align), 1: ("B", half)},
                ),
            ]  # fmt: skip
    return cases


CASES: Sequence[Case] = (
    *cases_windows.CASES,
    *_elementwise(),
    *_shaping(),
    *_slices(),
    *_reductions(),
    *_resizes(),
)
