"""Whole layers: what the fixed model makes of them is the real function of the real sums, rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.arithmetic.sessions import session
from modelbuild.kpu.quantizing import layer_constants
from tests.arithmetic.kpu.made import one
from tests.kpu.quantizing.oracle import FUNCTIONS, STRAIGHT, output


def run(
    function: Any, y: QuantizedTensor, depthwise: bool = False, kernel: int = 3, seed: int = 0
) -> tuple[Any, Any]:
    """(bytes, exact steps within 0...255) of a layer with random numbers."""
    rng = np.random.default_rng(seed)
    channels, outputs, size = 5, 5 if depthwise else 7, 12
    x = QuantizedTensor("x", (1, channels, size, size), 8, False, 0.03, 100)
    y = QuantizedTensor("y", (1, outputs, size, size), 8, False, y.scale, y.zero_point)
    weight = rng.integers(-127, 128, (outputs, 1 if depthwise else channels, kernel, kernel)).astype(np.int8)
    scales = rng.uniform(0.0005, 0.02, outputs) / (1 if kernel == 3 else 0.3)
    bias = rng.integers(-2000, 2000, outputs)
    parameters, constants = layer_constants(weight, scales, bias, x, y, function, depthwise=depthwise)
    model = one("kpu_conv", [x, y], parameters, constants)
    values = rng.integers(0, 256, x.shape).astype(np.uint8)
    made = session(model).run({"x": values})["y"]
    padded = np.pad(values.astype(np.int64) - 100, ((0, 0), (0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    what = "nchwij,cij->nchw" if depthwise else "nchwij,ocij->nohw"
    sums = np.einsum(what, windows, (weight[:, 0] if depthwise else weight).astype(np.int64))
    real = (sums + bias[:, None, None]) * (0.03 * scales)[:, None, None]
    return made.astype(float), np.clip(function(real) / y.scale + y.zero_point, 0, 255)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("name", STRAIGHT)
def test_functions_of_lines(name: str, kernel: int, depthwise: bool) -> None:
    made, exact = run(STRAIGHT[name], output(-3.0, 6.0), depthwise, kernel)
    assert np.abs(made - exact).max() < 0.501
    assert made.std() > 5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_curves(name: str) -> None:
    made, exact = run(FUNCTIONS[name], output(-0.5, 6.0))
    assert np.abs(made - exact).max() < 1.3
    assert np.mean(np.square(made - exact)) < 1 / 12 + 0.04


@pytest.mark.parametrize("function", [lambda x: -x, lambda x: 1 - FUNCTIONS["sigmoid"](x)])
def test_functions_that_fall_are_turned(function: Any) -> None:
    """The KPU rounds lines that fall badly; of values of the other sign they rise."""
    made, exact = run(function, output(-2.0, 3.0))
    assert np.mean(np.square(made - exact)) < 1 / 12 + 0.03


def test_the_order_of_channels_and_their_scales_do_not_matter() -> None:
    """Channels of weights that are all zero, and of scales far apart."""
    x, y = (QuantizedTensor(name, (1, 2, 4, 4), 8, False, 0.1, 3) for name in "xy")
    weight = np.array([[1, 2], [0, 0]], np.int8).reshape(2, 2, 1, 1)
    parameters, constants = layer_constants(
        weight, np.array([0.5, 1e-30]), np.array([4, 0]), x, y, lambda x: x
    )
    values = np.full((1, 2, 4, 4), 9, np.uint8)
    made = session(one("kpu_conv", [x, y], parameters, constants)).run({"x": values})["y"]
    assert set(made[0, 0].ravel().tolist()) == {3 + (6 * 3 + 4) // 2}
    assert set(made[0, 1].ravel().tolist()) == {3}
