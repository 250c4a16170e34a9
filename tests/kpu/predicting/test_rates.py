"""Cycles of KPU layers against times that were measured on the chip, and the CPU's operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, QuantizedTensor, float_tensor
from modelbuild.kpu.predicting.rates import layer_cycles, work
from tests.kpu.predicting.measured_layers import FACE_DETECTOR, SIPEED

START = 3500
WEIGHT_BYTES = 8  # a cycle
Layer = tuple[FixedModel, FixedOperator]


def _bytes(name: str, *shape: int) -> QuantizedTensor:
    return QuantizedTensor(name, shape, 8, False, 1.0, 0)


def _model(*tensors: QuantizedTensor, operator: FixedOperator, **constants: NDArray[Any]) -> FixedModel:
    named = {each.name: each for each in tensors}
    return FixedModel("m", "kpu@1", "k210", ("x",), ("y",), named, constants, (operator,), {})


def _layer(channels: int, outputs: int, height: int, width: int, depthwise: int, kernel: int = 3) -> Layer:
    operator = FixedOperator(
        "kpu_conv",
        "n",
        ("x",),
        ("y",),
        {"kernel": kernel, "depthwise": depthwise},
        {"weight": "w"},
        ("n",),
        "npu",
    )
    weight = np.zeros((outputs, 1 if depthwise else channels, kernel, kernel), np.uint8)
    x, y = _bytes("x", 1, channels, height, width), _bytes("y", 1, outputs, height, width)
    return _model(x, y, operator=operator, w=weight), operator


def _whole(layer: tuple[int, ...], bytes_a_weight: int, kernel: int) -> float:
    found = layer_cycles(*_layer(*layer, kernel=kernel))
    return found.array + found.written + found.weight_bytes * bytes_a_weight / WEIGHT_BYTES + START


@pytest.mark.parametrize("row", FACE_DETECTOR)
def test_layers_of_a_face_detector_as_measured(row: tuple[Any, ...]) -> None:
    *layer, ms = row
    kernel = 3 if layer[0] == 3 or layer[4] else 1
    ratio = _whole(tuple(layer), 1, kernel) / (ms * 400e3)
    assert 0.9 < ratio < 1.1


def test_the_sum_of_these_layers_is_met() -> None:
    predicted = sum(
        _whole(tuple(layer), 1, 3 if layer[0] == 3 or layer[4] else 1) for *layer, _ in FACE_DETECTOR
    )
    measured = sum(row[-1] for row in FACE_DETECTOR) * 400e3
    assert predicted / measured == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("row", SIPEED)
def test_convolutions_of_128_channels_as_measured(row: tuple[Any, ...]) -> None:
    *layer, ms = row
    ratio = _whole(tuple(layer), 2, 3) / (ms * 300e3)
    assert 0.95 < ratio < 1.05


def test_a_row_of_64_bytes_takes_as_long_when_little_of_it_is_used() -> None:
    wide, narrow = (layer_cycles(*_layer(8, 8, 16, width, 0)).array for width in (64, 33))
    assert wide == narrow
    assert layer_cycles(*_layer(8, 8, 16, 32, 0)).array * 2 == wide
    assert layer_cycles(*_layer(8, 8, 16, 16, 0)).array * 4 == wide


def _function(kind: str, x: QuantizedTensor, y: QuantizedTensor, **parameters: Any) -> Layer:
    operator = FixedOperator(kind, "n", ("x",), ("y",), parameters, {}, ("n",), "cpu")
    return _model(x, y, operator=operator), operator


def test_a_dequantize_takes_what_was_measured() -> None:
    """76,800 cells in 2.342 ms (kendryte/nncase issue 96), two cycles an operation."""
    x = _bytes("x", 1, 16, 60, 80)
    done = work(*_function("dequantize", x, float_tensor("y", x.shape)))
    assert done.operations / 200e6 * 1e3 == pytest.approx(2.342, rel=0.03)


def test_what_moves_reads_and_writes_each_byte() -> None:
    y = float_tensor("y", (1, 3, 4))
    done = work(*_function("transpose", float_tensor("x", (1, 4, 3)), y, permutation=(0, 2, 1)))
    assert (done.operations, done.of, done.bytes) == (96, "bytes moved", 96)
    assert work(*_function("reshape", y, float_tensor("z", (12,)))).operations == 0
    assert work(*_function("concat", y, y), moved=5).bytes == 10


def test_windows_count_their_cells_and_products_their_multiplications() -> None:
    x, y = float_tensor("x", (1, 2, 8, 8)), float_tensor("y", (1, 2, 4, 4))
    assert work(*_function("window", x, y, kernel=(3, 3))).operations == 32 * 9
    x, y = float_tensor("x", (2, 10)), float_tensor("y", (2, 5))
    assert work(*_function("matmul", x, y)).operations == 100
