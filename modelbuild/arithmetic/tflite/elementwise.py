"""Add, Sub, Mul, the limits, LeakyRelu, PRelu, HardSwish, and from one quantization to another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelbuild.arithmetic.tflite.call import Call, Codes, Operand
from modelbuild.arithmetic.tflite.fixed_point import divide_by_power, multiply, quantize_multiplier

_LEFT_SHIFT = {"int8": 20, "uint8": 20, "int16": 15}  # add.cc: room for the sum of two inputs
_FLOAT = np.float32
_ACTIVATIONS = {(0.0, math.inf), (0.0, 6.0), (0.0, 1.0), (-1.0, 1.0)}  # TFLite's own


def requantize(call: Call) -> Codes:
    """x at the output's scale; the integers themselves where nothing changes (reference/requantize.h)."""
    return call.saturated(requantized(call.operand(0), call.scale, call.zero))


def requantized(x: Operand, scale: float, zero: int) -> Codes:
    """The codes of `x` at another scale and zero point, not saturated."""
    if (x.scale, x.zero) == (scale, zero):
        return x.values.astype(np.int64)
    return multiply(x.steps, *quantize_multiplier(x.scale / scale)) + zero


def add(call: Call) -> Codes:
    """Both inputs in steps of twice the larger scale / 2^20; their sum rescaled (integer_ops/add.h)."""
    return _sum(call, 1)


def subtract(call: Call) -> Codes:
    """As `add`."""
    return _sum(call, -1)


def _sum(call: Call, sign: int) -> Codes:
    a, b = call.operand(0), call.operand(1)
    if call.target.dtype not in _LEFT_SHIFT:
        call.fail(f"its output is {call.target.dtype}")
    bits = _LEFT_SHIFT[call.target.dtype]
    widest = 2.0 * max(a.scale, b.scale)
    parts = [multiply(x.steps << bits, *quantize_multiplier(x.scale / widest)) for x in (a, b)]
    factor = widest / ((1 << bits) * call.scale)
    total = parts[0] + sign * parts[1]
    return call.saturated(multiply(total, *quantize_multiplier(factor)) + call.zero)


def multiply_tensors(call: Call) -> Codes:
    """The product of the codes, rescaled; the factor is a float32, as mul.cc computes it."""
    a, b = call.operand(0), call.operand(1)
    factor = _FLOAT(a.scale) * _FLOAT(b.scale) / _FLOAT(call.scale)
    return call.saturated(multiply(a.steps * b.steps, *quantize_multiplier(float(factor))) + call.zero)


def limit(call: Call) -> Codes:
    """A Relu or Clip by itself; `call.bounds` holds its limits. The factor is a float32 (activations.cc).
    A Clip to the range of its codes is what the import has for a QUANTIZE of codes, whose factor is not."""
    x = call.operand(0)
    low, high = call.target.range()
    if call.bounds not in _ACTIVATIONS and call.bounds == (float(_FLOAT(low)), float(_FLOAT(high))):
        return requantize(call)
    factor = _FLOAT(x.scale) / _FLOAT(call.scale)
    return call.saturated(multiply(x.steps, *quantize_multiplier(float(factor))) + call.zero)


def leaky_relu(call: Call) -> Codes:
    """Two factors, one for either sign (reference/leaky_relu.h)."""
    x = call.operand(0)
    alpha = call.node.attributes.get("alpha", 0.01)
    assert isinstance(alpha, int | float)
    below = _FLOAT(x.scale) * _FLOAT(alpha) / _FLOAT(call.scale)
    positive = multiply(x.steps, *quantize_multiplier(float(_FLOAT(x.scale) / _FLOAT(call.scale))))
    negative = multiply(x.steps, *quantize_multiplier(float(below)))
    return call.saturated(np.where(x.steps >= 0, positive, negative) + call.zero)


def prelu(call: Call) -> Codes:
    """Two factors, that below 0 times the quantized slope (reference/prelu.h)."""
    x, slope = call.operand(0), call.operand(1)
    below = _FLOAT(x.scale) * _FLOAT(slope.scale) / _FLOAT(call.scale)
    positive = multiply(x.steps, *quantize_multiplier(float(_FLOAT(x.scale) / _FLOAT(call.scale))))
    negative = multiply(x.steps * slope.steps, *quantize_multiplier(float(below)))
    return call.saturated(np.where(x.steps >= 0, positive, negative) + call.zero)


def hard_swish(call: Call) -> Codes:
    """x * relu6(x + 3) / 6 with 16-bit intermediates (reference/hard_swish.h)."""
    x = call.operand(0)
    fine_scale = _FLOAT(1 / 128) * _FLOAT(x.scale)
    output, output_shift = _sixteen_bits(float(fine_scale) / call.scale)
    inner, inner_shift = _sixteen_bits(float(fine_scale) / float(_FLOAT(3.0 / 32768)))
    if output_shift > 0:
        call.fail("its output's scale is too fine for its input's")
    fine = x.steps << 7
    scaled = _high_of_16(fine, output, True)
    gate = fine
    if inner_shift > 0:
        gate = _within_16(gate << (inner_shift - 1))
    gate = _high_of_16(gate, inner, True)
    gate = _within_16(gate << 1) if inner_shift > 0 else divide_by_power(gate, -inner_shift)
    product = _high_of_16((gate + (1 << 15)) >> 1, scaled, False)
    return call.saturated(divide_by_power(product, -output_shift) + call.zero)


def _sixteen_bits(factor: float) -> tuple[int, int]:
    fixed, shift = quantize_multiplier(factor)
    return min((fixed + (1 << 15)) >> 16, (1 << 15) - 1), shift


def _within_16(values: Any) -> Codes:
    return np.clip(np.asarray(values, np.int64), -(1 << 15), (1 << 15) - 1)


def _high_of_16(a: Any, b: Any, to_nearest: bool) -> Codes:
    """a * b / 2^15 of 16-bit numbers, to nearest (halves away from 0) or towards 0, saturated."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    if to_nearest:
        product = product + np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    return _within_16(np.where(product >= 0, product >> 15, -((-product) >> 15)))


KERNELS = {
    "Add": add,
    "Clip": limit,
    "DequantizeLinear": requantize,
    "Dropout": requantize,
    "HardSwish": hard_swish,
    "Identity": requantize,
    "LeakyRelu": leaky_relu,
    "Mul": multiply_tensors,
    "PRelu": prelu,
    "QuantizeLinear": requantize,
    "Relu": limit,
    "Sub": subtract,
}
