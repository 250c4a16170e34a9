"""A KPU layer in plain integers (docs/arithmetic.md, kpu@1), and functions that tables are fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor

Function = Callable[[Any], Any]


def shifted(value: int, shift: int) -> int:
    if shift == 0:
        return value
    whole, half = value >> shift, 1 << (shift - 1)
    rest = value - (whole << shift)
    if rest < half or (rest == half and whole % 2 == 0):
        return whole
    return whole + 1 if value >= 0 else whole - 1


def code(table: Mapping[str, Any], value: int) -> int:
    """The byte of one value; `table` as the constants of kpu_conv."""
    rows = [[int(n) for n in table[f"segment_{role}"]] for role in ("start", "multiplier", "shift", "add")]
    number = max(i for i in range(16) if rows[0][i] < value)
    start, factor, shift, add = (row[number] for row in rows)
    return min(max(shifted((value - start) * factor, shift) + add, 0), 255)


def total(x: Sequence[int], weight: Sequence[int], parameters: Mapping[str, Any], channels: int) -> int:
    """The sum of one output, of bytes under the kernel and weights as the KPU has them."""
    products = sum(a * b for a, b in zip(x, weight, strict=True))
    corrections = parameters["arg_x"] * sum(x) >> parameters["shift_x"]
    corrections += parameters["arg_w"] * sum(weight) >> parameters["shift_w"]
    return products + corrections + parameters["arg_add"] * channels


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


FUNCTIONS: dict[str, Function] = {
    "silu": lambda x: x * sigmoid(x),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "exp": lambda x: np.exp(np.minimum(x, 20)),
}
STRAIGHT: dict[str, Function] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "clip": lambda x: np.clip(x, -1.37, 2.41),
    "moved": lambda x: np.maximum(0.5 * x + 0.625, -1.0),
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
}


def output(low: float, high: float) -> QuantizedTensor:
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    return QuantizedTensor("y", (1, 1, 4, 4), 8, False, scale, round(-low / scale))


def wanted(function: Function, values: Any, v_scale: float, y: QuantizedTensor) -> Any:
    """Steps of the output within 0...255, not rounded."""
    return np.clip(function(values * v_scale) / y.scale + y.zero_point, 0, 255)
