"""Cases of convolutions, pools, and matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.importers.tflite.builder import Options
from tests.importers.tflite.case import RANDOM, Case, Data


def weights(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int32)


def _window(padding: int, stride: tuple[int, int], activation: int, slot: int, **more: int) -> Options:
    options: dict[int, tuple[str, Any]] = {0: ("b", padding), 1: ("i", stride[1]), 2: ("i", stride[0])}
    options[slot] = ("b", activation)
    return {**options, **{int(key[1:]): ("i", value) for key, value in more.items()}}


IMAGE = Data((1, 7, 6, 4))
_SAME, _VALID = 0, 1


def _convolutions() -> list[Case]:
    cases = []
    for padding in (_SAME, _VALID):
        for stride in ((1, 1), (2, 2), (2, 3), (3, 1)):
            for dilation in ((1, 1), (2, 1)) if stride == (1, 1) else ((1, 1),):
                name = f"padding {padding} strides {stride} dilations {dilation}"
                conv = _window(padding, stride, 1, 3, s4=dilation[1], s5=dilation[0])
                deep = _window(padding, stride, 3, 4, s3=2, s5=dilation[1], s6=dilation[0])
                cases += [
                    Case(f"conv {name}", "CONV_2D", (IMAGE, weights(5, 3, 2, 4), weights(5)), conv),
                    Case(
                        f"depthwise {name}", "DEPTHWISE_CONV_2D",
                        (IMAGE, weights(1, 3, 3, 8), weights(8)), deep,
                    ),
                ]  # fmt: skip
    for kernel, stride, size in ((3, 2, 7), (2, 2, 6), (4, 2, 8), (3, 1, 4), (5, 3, 10)):
        for padding in (_SAME, _VALID):
            rows = -(-size // stride) if padding == _SAME else (size - kernel) // stride + 1
            data = Data((1, rows, rows, 3))
            inputs = (ints(1, size, size, 2), weights(2, kernel, kernel, 3), data, weights(2))
            options = _window(padding, (stride, stride), 1, 3)
            cases.append(
                Case(f"transposed {kernel} by {stride} {padding}", "TRANSPOSE_CONV", inputs, options)
            )
    cases += [
        Case(
            "conv in groups", "CONV_2D",
            (IMAGE, weights(6, 3, 3, 2), weights(6)), _window(0, (1, 1), 0, 3),
        ),
        Case(
            "transposed without bias", "TRANSPOSE_CONV",
            (ints(1, 8, 8, 2), weights(2, 3, 3, 3), Data((1, 4, 4, 3))), _window(0, (2, 2), 0, 3),
        ),
        Case(
            "3D", "CONV_3D", (Data((1, 4, 5, 6, 2)), weights(3, 3, 3, 2, 4), weights(4)),
            {0: ("b", 0), 1: ("i", 1), 2: ("i", 2), 3: ("i", 2), 4: ("b", 0)},
        ),
    ]  # fmt: skip
    return cases


def _pools() -> list[Case]:
    root = {**_window(_SAME, (2, 2), 0, 5), 3: ("i", 3), 4: ("i", 2)}
    return [Case("root of mean of squares", "L2_POOL_2D", (IMAGE,), root)] + [
        Case(
            f"{op} padding {padding} {stride} {window}", op, (IMAGE,),
            {**_window(padding, stride, 0, 5), 3: ("i", window[1]), 4: ("i", window[0])},
        )
        for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D")
        for padding in (_SAME, _VALID)
        for stride, window in (((1, 1), (3, 3)), ((2, 2), (2, 3)), ((2, 1), (5, 2)), ((2, 2), (3, 3)))
    ]  # fmt: skip


def _dense() -> list[Case]:
    matrix, bias = weights(5, 12), weights(5)
    return [
        Case("dense", "FULLY_CONNECTED", (Data((3, 12)), matrix, bias), {0: ("b", 1)}),
        Case("dense without bias", "FULLY_CONNECTED", (Data((3, 12)), matrix, None)),
        Case("dense of a picture", "FULLY_CONNECTED", (Data((1, 2, 2, 3)), matrix, bias)),
        Case("dense keeps axes", "FULLY_CONNECTED", (Data((2, 3, 12)), matrix, bias), {2: ("B", True)}),
        Case("dense of rows", "FULLY_CONNECTED", (Data((2, 3, 12)), matrix, bias), {0: ("b", 3)}),
        Case("product", "BATCH_MATMUL", (Data((2, 3, 4)), Data((2, 4, 5)))),
        Case("product x'", "BATCH_MATMUL", (Data((2, 4, 3)), Data((2, 4, 5))), {0: ("B", True)}),
        Case("product y'", "BATCH_MATMUL", (Data((1, 2, 3, 4)), Data((1, 2, 5, 4))), {1: ("B", True)}),
    ]


CASES: Sequence[Case] = (*_convolutions(), *_pools(), *_dense())
