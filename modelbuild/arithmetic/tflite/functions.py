"""Softmax, Sigmoid and Tanh of 8 bits, in gemmlowp's fixed point."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelbuild.arithmetic.tflite import fixed_point
from modelbuild.arithmetic.tflite.call import Call, Codes
from modelbuild.arithmetic.tflite.fixed_point import divide_by_power, multiply, quantize_multiplier
from modelbuild.graph.kept_quantization import CODES

_DIFFERENCE_BITS, _SUM_BITS, _INPUT_BITS = 5, 12, 4  # integer bits of the formats


def softmax(call: Call) -> Codes:
    """exp(x - max) over their sum, into steps of 1/256 above the lowest code (reference/softmax.h)."""
    x = call.operand(0)
    _eight_bits(call)
    axis = call.node.int("axis", -1)
    factor = min(x.scale * (1 << (31 - _DIFFERENCE_BITS)), float((1 << 31) - 1))
    multiplier, shift = quantize_multiplier(factor)
    least = -fixed_point.input_radius(_DIFFERENCE_BITS, shift)
    codes = np.moveaxis(x.values.astype(np.int64), axis, -1)
    difference = codes - codes.max(axis=-1, keepdims=True)
    counted = difference >= least
    scaled = fixed_point.doubled_high(np.where(counted, difference, 0) << shift, multiplier)
    powers = np.where(counted, fixed_point.exp_of_negative(scaled, _DIFFERENCE_BITS), 0)
    total = divide_by_power(powers, _SUM_BITS).sum(axis=-1, keepdims=True)
    factor_of_sum, bits = fixed_point.reciprocal(total, _SUM_BITS)
    steps = divide_by_power(fixed_point.doubled_high(factor_of_sum, powers), bits + 31 - 8)
    lowest, highest = CODES[call.target.dtype]
    return np.moveaxis(np.clip(steps + lowest, lowest, highest), -1, axis)


def _curve(call: Call, function: Callable[[Codes, int], Codes], bits: int, zero: int) -> Codes:
    """`function` in Q4 of the input, rounded to `bits` fractional bits around `zero`."""
    x = call.operand(0)
    _eight_bits(call)
    multiplier, shift = quantize_multiplier(x.scale * (1 << (31 - _INPUT_BITS)))
    radius = fixed_point.input_radius(_INPUT_BITS, max(shift, 0))
    inner = multiply(np.clip(x.steps, -radius, radius), multiplier, shift)
    lowest, highest = CODES[call.target.dtype]
    found = np.clip(divide_by_power(function(inner, _INPUT_BITS), 31 - bits) + zero, lowest, highest)
    return np.where(x.steps <= -radius, lowest, np.where(x.steps >= radius, highest, found))


def sigmoid(call: Call) -> Codes:
    """Steps of 1/256 above the lowest code (reference/integer_ops/logistic.h)."""
    return _curve(call, fixed_point.logistic, 8, CODES[call.target.dtype][0])


def tanh(call: Call) -> Codes:
    """Steps of 1/128 around the middle code (reference/integer_ops/tanh.h)."""
    lowest, highest = CODES[call.target.dtype]
    return _curve(call, fixed_point.tanh, 7, (lowest + highest + 1) // 2)


def _eight_bits(call: Call) -> None:
    if call.target.dtype not in ("int8", "uint8"):
        call.fail(f"its output is {call.target.dtype}")


KERNELS = {"Softmax": softmax, "Sigmoid": sigmoid, "Tanh": tanh}
