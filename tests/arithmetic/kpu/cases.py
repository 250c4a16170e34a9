"""Random models of one operator of `kpu@1`, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, float_tensor
from tests.arithmetic import dice as dices
from tests.arithmetic.dice import Dice
from tests.arithmetic.kpu import cases_of_choices, cases_of_moves, oracle
from tests.arithmetic.kpu.made import LARGEST, byte_tensor, f32, floats, one
from tests.arithmetic.kpu.oracle import POOLS


def layer(
    dice: Dice,
    *,
    shape: tuple[int, ...] | None = None,
    outputs: int | None = None,
    kernel: int = 0,
    depthwise: int | None = None,
    pool: str = "",
) -> FixedModel:
    """A KPU layer whose table is a rising line with bends, or wild."""
    shape = shape or (dice.whole(1, 2), dice.whole(1, 6), dice.whole(4, 9), dice.whole(4, 9))
    depthwise = dice.whole(0, 1) if depthwise is None else depthwise
    kernel = kernel or (1, 3)[dice.whole(0, 1)]
    count = shape[1] if depthwise else outputs or dice.whole(1, 6)
    pool = pool or sorted(POOLS)[dice.whole(0, len(POOLS) - 1)]
    weight = dice.rng.integers(0, 256, (count, 1 if depthwise else shape[1], kernel, kernel)).astype(np.uint8)
    zero, wild = dice.whole(0, 255), dice.whole(0, 2) == 0
    parameters = {
        "kernel": kernel,
        "depthwise": depthwise,
        "pool": pool,
        "pad_value": zero,
        "arg_x": dice.whole(-300, 300) if wild else -128,
        "shift_x": dice.whole(0, 3) if wild else 0,
        "arg_w": dice.whole(-300, 300) if wild else -zero,
        "shift_w": dice.whole(0, 3) if wild else 0,
        "arg_add": dice.whole(-99999, 99999) if wild else kernel * kernel * 128 * zero,
    }
    constants = {"weight": weight, **norms(dice, count), **segments(dice, wild)}
    stride = POOLS[pool][1]
    out = (shape[0], count, shape[2] // stride, shape[3] // stride)
    return one("kpu_conv", [byte_tensor("x", shape), byte_tensor("y", out)], parameters, constants)


def norms(dice: Dice, count: int) -> dict[str, Any]:
    return {
        "bn_multiplier": dice.rng.integers(-30000, 60000, count).astype(np.int32),
        "bn_add": dice.rng.integers(-(1 << 22), 1 << 22, count).astype(np.int32),
        "bn_shift": dice.rng.integers(8, 16, count).astype(np.uint8),
    }


def segments(dice: Dice, wild: bool) -> dict[str, Any]:
    """16 segments from -2^35 on. Tame ones step up by about 256 over the values that occur."""
    starts = np.sort(dice.rng.integers(-(1 << 22), 1 << 22, 15))
    shifts = dice.rng.integers(0, 44, 16) if wild else dice.rng.integers(14, 20, 16)
    multipliers = dice.rng.integers(-32768, 32768, 16) if wild else dice.rng.integers(-20, 200, 16)
    return {
        "segment_start": np.array([-(1 << 35), *starts], np.int64),
        "segment_multiplier": multipliers.astype(np.int16),
        "segment_shift": shifts.astype(np.uint8),
        "segment_add": dice.rng.integers(0, 256, 16).astype(np.uint8),
    }


def bounds(dice: Dice) -> dict[str, Any]:
    """Of the float operators: none, or those of a ReLU6."""
    low, high = (0.0, 6.0) if dice.whole(0, 1) else (-LARGEST, LARGEST)
    return {"low": np.array(low, f32), "high": np.array(high, f32)}


def line(dice: Dice, factor: float) -> dict[str, Any]:
    return {
        "factor": np.array(dice.rng.uniform(0.3, 3.0) * factor, f32),
        "offset": np.array(dice.rng.uniform(-9, 99), f32),
    }


def quantize(dice: Dice) -> FixedModel:
    shape = (dice.whole(1, 3), dice.whole(1, 60))
    return one("quantize", [float_tensor("x", shape), byte_tensor("y", shape)], {}, line(dice, 50))


def dequantize(dice: Dice) -> FixedModel:
    shape = (dice.whole(1, 3), dice.whole(1, 60))
    return one("dequantize", [byte_tensor("x", shape), float_tensor("y", shape)], {}, line(dice, 0.01))


def conv(dice: Dice) -> FixedModel:
    kernel = dice.whole(1, 3), dice.whole(1, 3)
    group, inner, outer = dice.whole(1, 3), dice.whole(1, 3), dice.whole(1, 3)
    parameters = dices.windowed(dice, kernel)
    x = float_tensor("x", dices.picture(dice, group * inner, kernel).shape)
    out = oracle.window_counts(parameters, x.shape, kernel)
    constants = {
        "weight": floats(dice, (group * outer, inner, *kernel)),
        "bias": floats(dice, (group * outer,)),
        **bounds(dice),
    }
    y = float_tensor("y", (x.shape[0], group * outer, *out))
    return one("conv", [x, y], {**parameters, "group": group}, constants)


def window(dice: Dice) -> FixedModel:
    kernel = dice.whole(1, 3), dice.whole(1, 3)
    parameters = {**dices.windowed(dice, kernel), "kernel": kernel, "op": ("max", "mean")[dice.whole(0, 1)]}
    x = float_tensor("x", dices.picture(dice, dice.whole(1, 4), kernel).shape)
    y = float_tensor("y", (*x.shape[:2], *oracle.window_counts(parameters, x.shape, kernel)))
    return one("window", [x, y], parameters, bounds(dice))


def matmul(dice: Dice) -> FixedModel:
    lead = (dice.whole(1, 3),) * dice.whole(0, 1)
    rows, depth, columns = dice.whole(1, 4), dice.whole(1, 40), dice.whole(1, 5)
    other = lead if dice.whole(0, 1) else ()
    x = float_tensor("x", (*lead, rows, depth))
    b = float_tensor("b", (*other, depth, columns))
    y = float_tensor("y", (*lead, rows, columns))
    return one("matmul", [x, b, y], {}, {"bias": floats(dice, (columns,)), **bounds(dice)})


def reduce(dice: Dice) -> FixedModel:
    shape = tuple(dice.whole(1, 4) for _ in range(dice.whole(2, 4)))
    axes = tuple(sorted({dice.whole(0, len(shape) - 1) for _ in range(2)}))
    keep = dice.whole(0, 1)
    out = [1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes]
    parameters = {"op": ("mean", "min", "max", "sum")[dice.whole(0, 3)], "axes": axes, "keep": keep}
    return one("reduce", [float_tensor("x", shape), float_tensor("y", tuple(out))], parameters)


def softmax(dice: Dice) -> FixedModel:
    shape = tuple(dice.whole(1, 6) for _ in range(3))
    tensors = [float_tensor("x", shape), float_tensor("y", shape)]
    return one("softmax", tensors, {"axis": dice.whole(0, 2)})


def binary(dice: Dice) -> FixedModel:
    shape = (2, dice.whole(1, 3), dice.whole(1, 3), dice.whole(2, 4))
    other = shape if dice.whole(0, 1) else (1, shape[1], 1, 1)
    tensors = [float_tensor("x", shape), float_tensor("b", other), float_tensor("y", shape)]
    op = ("add", "sub", "mul", "div", "min", "max")[dice.whole(0, 5)]
    return one("binary", tensors, {"op": op}, bounds(dice))


def unary(dice: Dice) -> FixedModel:
    shape = (dice.whole(1, 3), dice.whole(1, 5))
    op = sorted(oracle.UNARY)[dice.whole(0, len(oracle.UNARY) - 1)]
    return one("unary", [float_tensor("x", shape), float_tensor("y", shape)], {"op": op})


def sigmoid(dice: Dice) -> FixedModel:
    shape = (dice.whole(1, 3), dice.whole(1, 5))
    return one("sigmoid", [float_tensor("x", shape), float_tensor("y", shape)])


BUILDERS: dict[str, Callable[[Dice], FixedModel]] = {
    "kpu_conv": layer,
    "quantize": quantize,
    "dequantize": dequantize,
    "conv": conv,
    "window": window,
    "matmul": matmul,
    "reduce": reduce,
    "softmax": softmax,
    "binary": binary,
    "unary": unary,
    "sigmoid": sigmoid,
    **cases_of_choices.BUILDERS,
    **cases_of_moves.BUILDERS,
}
