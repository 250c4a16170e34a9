"""The fixed-point arithmetic of TFLite's reference kernels and of gemmlowp, on which they stand.

Sources: tensorflow/lite/kernels/internal/common.h and quantization_util.cc; gemmlowp's fixedpoint.h. A raw
value of Qk stands for raw / 2^(31 - k). Everything is exact in int64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
ONE = (1 << 31) - 1  # of Q0: the largest, which stands for 1
_HIGHEST, _LOWEST = (1 << 31) - 1, -(1 << 31)
# exp(-2^e) in Q0 for e = -2 ... 4 (gemmlowp, exp_on_negative_values)
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_MINUS_EIGHTH, _THIRD = 1895147668, 715827883  # in Q0
_48_OVER_17, _32_OVER_17 = 1515870810, 1010580540  # in Q2: first guess of Newton's division
_ONE_OF_Q2 = 1 << 29


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """(M, s) with factor = M / 2^31 * 2^s, 2^30 <= M < 2^31, rounded half away from 0; (0, 0) below 2^-32."""
    if factor == 0.0:
        return 0, 0
    mantissa, shift = math.frexp(factor)
    whole = mantissa * (1 << 31)
    fixed = math.floor(whole + 0.5) if whole >= 0 else math.ceil(whole - 0.5)
    if abs(fixed) == 1 << 31:
        fixed, shift = fixed // 2, shift + 1
    return (0, 0) if shift < -31 else (fixed, shift)


def multiply(x: Any, multiplier: Any, shift: Any) -> Integers:
    """x * M / 2^31 * 2^s rounded twice: the doubled high half to nearest, the right shift to nearest."""
    shift = np.asarray(shift, np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    return divide_by_power(doubled_high(np.left_shift(np.asarray(x, np.int64), left), multiplier), right)


def multiply_once(x: Any, multiplier: Any, shift: Any) -> Integers:
    """x * M / 2^31 * 2^s rounded once, halves up: what FULLY_CONNECTED does in the runtime of today."""
    total = 31 - np.asarray(shift, np.int64)
    half = np.left_shift(np.int64(1), total - 1)
    return np.asarray((np.asarray(x, np.int64) * np.asarray(multiplier, np.int64) + half) >> total, np.int64)


def multiply_wide(x: Any, multiplier: Any, shift: Any) -> Integers:
    """x * M / 2^31 * 2^s for sums of 48 bits: M rounded to 15 bits first, the product rounded halves up."""
    short = np.minimum((np.asarray(multiplier, np.int64) + (1 << 15)) >> 16, (1 << 15) - 1)
    total = 15 - np.asarray(shift, np.int64)
    half = np.left_shift(np.int64(1), total - 1)
    return np.asarray((np.asarray(x, np.int64) * short + half) >> total, np.int64)


def doubled_high(a: Any, b: Any) -> Integers:
    """round(a * b / 2^31), halves away from 0, saturated (SaturatingRoundingDoublingHighMul)."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    result = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))
    return np.minimum(result, _HIGHEST)


def divide_by_power(x: Any, exponent: Any) -> Integers:
    """x / 2^exponent to nearest, halves away from 0 (RoundingDivideByPOT)."""
    x, exponent = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return np.asarray((x >> exponent) + ((x & mask) > threshold), np.int64)


def saturating_left(x: Any, bits: int) -> Integers:
    """x * 2^bits within 32 bits."""
    shifted = np.left_shift(np.asarray(x, np.int64), bits)
    return np.maximum(np.minimum(shifted, _HIGHEST), _LOWEST)


def exp_of_negative(a: Integers, integer_bits: int) -> Integers:
    """exp(a) in Q0, for a <= 0 in Qk: a polynomial near 0, times a tabulated power for each bit further."""
    quarter = 1 << (29 - integer_bits)
    remainder = (a & (quarter - 1)) - quarter
    result = _exp_near_zero(saturating_left(remainder, integer_bits))
    rest = remainder - a
    for exponent, power in enumerate(_POWERS, -2):
        if integer_bits > exponent:
            bit = 1 << (31 - integer_bits + exponent)
            result = np.where(rest & bit, doubled_high(result, power), result)
    if integer_bits > 5:
        result = np.where(a < -(1 << (36 - integer_bits)), 0, result)
    return np.where(a == 0, ONE, result)


def _exp_near_zero(a: Integers) -> Integers:
    """exp(a) in Q0 for -1/4 <= a < 0: Taylor's series of four terms around -1/8."""
    x = a + (1 << 28)
    square = doubled_high(x, x)
    cube, fourth = doubled_high(square, x), doubled_high(square, square)
    inner = doubled_high(divide_by_power(fourth, 2) + cube, _THIRD) + square
    return np.minimum(
        _EXP_MINUS_EIGHTH + doubled_high(_EXP_MINUS_EIGHTH, x + divide_by_power(inner, 1)), _HIGHEST
    )


def _newton(a: Integers) -> Integers:
    """2 / (1 + a) in Q2 for a in Q0 from 0 to 1: three steps of Newton's."""
    total = a + ONE
    half = np.where(total >= 0, total + 1, total - 1) // 2
    x = _48_OVER_17 + doubled_high(half, -_32_OVER_17)
    for _ in range(3):
        error = _ONE_OF_Q2 - doubled_high(half, x)
        x = x + saturating_left(doubled_high(x, error), 2)
    return np.asarray(x, np.int64)


def one_over_one_plus(a: Integers) -> Integers:
    """1 / (1 + a) in Q0, for a in Q0 from 0 to 1."""
    return saturating_left(_newton(a), 1)


def logistic(a: Integers, integer_bits: int) -> Integers:
    """1 / (1 + exp(-a)) in Q0 for a in Qk."""
    positive = one_over_one_plus(exp_of_negative(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, ONE - positive))


def tanh(a: Integers, integer_bits: int) -> Integers:
    """tanh(a) in Q0 for a in Qk: (1 - e) / (1 + e) with e = exp(-2 |a|)."""
    raised = _newton(exp_of_negative(-np.abs(a), integer_bits + 1)) - _ONE_OF_Q2
    magnitude = saturating_left(raised, 2)
    return np.where(a == 0, 0, np.where(a < 0, -magnitude, magnitude))


def reciprocal(x: Integers, integer_bits: int) -> tuple[Integers, Integers]:
    """(1 / x scaled into Q0, the bits that it was scaled by), for x > 0 in Qk."""
    headroom = 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)  # the zeros before its first bit
    shifted = (x << headroom) - (1 << 31)
    return one_over_one_plus(shifted), integer_bits - headroom


def input_radius(integer_bits: int, left_shift: int) -> int:
    """The largest input that `integer_bits` hold once it is shifted (CalculateInputRadius)."""
    return math.floor(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / (1 << left_shift))


def rounded(value: float) -> int:
    """To nearest, halves away from 0 (TfLiteRound)."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)


def divide(total: Integers, count: Any) -> Integers:
    """total / count to nearest, halves away from 0, as pools and means divide."""
    half = np.asarray(count, np.int64) // 2
    return np.asarray(np.where(total > 0, (total + half) // count, -((half - total) // count)), np.int64)
