"""float32 where the order and the rounding of each step decide the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import float_tensor
from modelbuild.arithmetic.kpu import run, sums
from tests.arithmetic.dice import Dice
from tests.arithmetic.kpu import cases, made, oracle
from tests.arithmetic.kpu.made import LARGEST, byte_tensor, f32, one

NONE = {"low": np.array(-LARGEST, f32), "high": np.array(LARGEST, f32)}


def answer(model: Any, *values: Any) -> Any:
    return run(model, dict(zip(model.inputs, values, strict=True)))["y"]


def test_quantize_rounds_twice_and_halves_to_even() -> None:
    x, y = float_tensor("x", (9,)), byte_tensor("y", (9,))
    model = one("quantize", [x, y], {}, {"factor": np.array(2, f32), "offset": np.array(1, f32)})
    values = np.array([0.25, 0.75, -0.75, 127.5, -1, 1e9, 2e9, np.inf, np.nan], f32)
    # 1.5, 2.5, -0.5, 256, -1; beyond 31 bits there is no number but the lowest
    assert answer(model, values).tolist() == [2, 2, 0, 255, 0, 255, 0, 0, 0]
    fine = one("quantize", [x, y], {}, {"factor": np.array(0.1, f32), "offset": np.array(0.5, f32)})
    single = f32(f32(15) * f32(0.1)) + f32(0.5)
    assert answer(fine, np.full(9, 15, f32))[0] == 2 and single == 2


def test_dequantize_takes_its_offset_after_a_rounded_product() -> None:
    model = one(
        "dequantize",
        [byte_tensor("x", (2,)), float_tensor("y", (2,))],
        {},
        {"factor": np.array(0.1, f32), "offset": np.array(-0.3, f32)},
    )
    product = np.array([3, 200], f32) * f32(0.1)
    assert answer(model, np.array([3, 200], np.uint8)).tolist() == (product + f32(-0.3)).tolist()


def test_sums_go_from_the_first_to_the_last() -> None:
    """1 + 2^-24 is 1 again, 2^24 times over; from the other end it would not be."""
    values = np.full((1, 5000), 2.0**-24, f32)
    values[0, 0] = 1
    parameters = {"op": "sum", "axes": (1,), "keep": 0}
    model = one("reduce", [float_tensor("x", (1, 5000)), float_tensor("y", (1,))], parameters)
    assert answer(model, values).tolist() == [1.0]
    assert answer(model, values[:, ::-1].copy())[0] > 1.0002


def test_extremes_pass_over_nan_and_keep_the_first_zero() -> None:
    values = np.array([[np.nan, 1, 3], [-0.0, 0.0, -1], [0.0, -0.0, -5], [np.nan] * 3], f32)
    tensors = [float_tensor("x", (4, 3)), float_tensor("y", (4,))]
    parameters = {"axes": (1,), "keep": 0}
    most = answer(one("reduce", tensors, {**parameters, "op": "max"}), values)
    assert most.tolist() == [3, 0, 0, -LARGEST] and np.signbit(most).tolist() == [False, True, False, True]
    least = answer(one("reduce", tensors, {**parameters, "op": "min"}), values)
    assert least.tolist() == [1, -1, -5, LARGEST]


def test_a_convolution_begins_with_its_bias() -> None:
    """2^24 + 1 - 2^24 is 0 in this order; with the bias last it would be 1."""
    model = one(
        "conv",
        [float_tensor("x", (1, 2, 1, 1)), float_tensor("y", (1, 1, 1, 1))],
        {"group": 1, "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1)},
        {"weight": np.array([[[[1]], [[-1]]]], f32), "bias": np.array([2**24], f32), **NONE},
    )
    assert answer(model, np.array([[[[1]], [[2**24]]]], f32)).tolist() == [[[[0.0]]]]


@pytest.mark.parametrize("block", [1, 30, 100])
def test_chunks_of_any_size_give_the_same(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "_CHUNK", block)
    for seed in range(30):
        dice = Dice(seed)
        model = cases.matmul(dice)
        inputs = made.inputs(dice, model)
        np.testing.assert_array_equal(run(model, inputs)["y"], oracle.run(model, inputs)["y"])


def test_bounds_keep_nan_and_limit_the_rest() -> None:
    limits = {"low": np.array(0, f32), "high": np.array(6, f32)}
    tensors = [float_tensor(name, (4,)) for name in "xzy"]
    model = one("binary", tensors, {"op": "add"}, limits)
    found = answer(model, np.array([1, 9, -9, np.nan], f32), np.zeros(4, f32))
    assert found[:3].tolist() == [1, 6, 0] and np.isnan(found[3])


def test_a_mean_of_a_window_counts_the_cells_inside() -> None:
    model = one(
        "window",
        [float_tensor("x", (1, 1, 2, 2)), float_tensor("y", (1, 1, 2, 2))],
        {"op": "mean", "kernel": (2, 2), "strides": (1, 1), "pads": (1, 1, 0, 0), "dilations": (1, 1)},
        NONE,
    )
    assert answer(model, np.array([[[[1, 2], [3, 6]]]], f32)).tolist() == [[[[1, 1.5], [2, 3]]]]


@pytest.mark.parametrize(
    ("corners", "centres", "expected"),
    [(0, 0, [0, 0, 1, 2]), (1, 0, [0, 1, 1, 2]), (0, 1, [0, 1, 1, 2])],
)
def test_nearest(corners: int, centres: int, expected: list[int]) -> None:
    """3 cells to 4: places 0, .75, 1.5, 2.25; 0, .67, 1.33, 2 rounded; .375, 1.125, 1.875, 2.625."""
    tensors = [byte_tensor("x", (1, 1, 1, 3)), byte_tensor("y", (1, 1, 1, 4))]
    model = one("resize_nearest", tensors, {"align_corners": corners, "half_pixel": centres})
    assert answer(model, np.array([[[[0, 1, 2]]]], np.uint8))[0, 0, 0].tolist() == expected


def test_bilinear_between_centres() -> None:
    tensors = [float_tensor("x", (1, 1, 1, 2)), float_tensor("y", (1, 1, 1, 4))]
    model = one("resize_bilinear", tensors, {"align_corners": 0, "half_pixel": 1})
    assert answer(model, np.array([[[[0, 4]]]], f32))[0, 0, 0].tolist() == [0, 1, 3, 4]


def test_a_mean_of_bytes_is_exact_by_way_of_a_sum() -> None:
    """Dequantize by 1, add, quantize by the whole factor: as the lowering has global means."""
    values = np.arange(49, dtype=np.uint8).reshape(1, 1, 7, 7) * 5
    real = float_tensor("y", (1, 1, 7, 7))
    plain = {"factor": np.array(1, f32), "offset": np.array(0, f32)}
    steps = answer(one("dequantize", [byte_tensor("x", (1, 1, 7, 7)), real], {}, plain), values)
    parameters = {"op": "sum", "axes": (2, 3), "keep": 1}
    tensors = [float_tensor("x", (1, 1, 7, 7)), float_tensor("y", (1, 1, 1, 1))]
    assert answer(one("reduce", tensors, parameters), steps).tolist() == [[[[49 * 48 / 2 * 5]]]]
