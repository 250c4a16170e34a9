"""Lookup tables of functions of 8 bits, in decimal arithmetic of 40 digits: no math library decides a bit."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Integers, QuantizedTensor
from modelbuild.arithmetic.operator_shapes import SOFTMAX_SHIFT

Function = Callable[[Decimal], Decimal]

DIGITS = 40
EXPONENTIAL_ONE = 1 << 23
SOFTMAX_ENTRIES = 256
_FAR = Decimal(2000)  # beyond this an exponential counts as infinite or zero
_HUGE = Decimal(10) ** 800
_TWO_OVER_ROOT_PI = Decimal("1.128379167095512573896158903121545171688101")
_ROOT_TWO_OVER_PI = Decimal("0.7978845608028653558798921198687637369517173")


def table(function: Function, x: QuantizedTensor, y: QuantizedTensor) -> Integers:
    """T[i] = saturate(round_half_even(f(scale_x (i + low_x - zero_x)) / scale_y) + zero_y), 256 entries."""
    with localcontext(Context(prec=DIGITS)):
        scale_x, scale_y = Decimal(x.scale), Decimal(y.scale)
        steps = [function(scale_x * (i + x.low - x.zero_point)) / scale_y for i in range(256)]
        whole = [_saturated(step, y) for step in steps]
    return np.array(whole, dtype=y.dtype)


def softmax_table(scale: float) -> NDArray[np.int32]:
    """E[d] = round(2^23 exp(-d scale)) for d in 0...255."""
    with localcontext(Context(prec=DIGITS)):
        step = Decimal(scale)
        values = [rounded(EXPONENTIAL_ONE * exp(-d * step)) for d in range(SOFTMAX_ENTRIES)]
    return np.array(values, dtype=np.int32)


def softmax_factors(scale: float) -> NDArray[np.int32]:
    """2^30 exp(-256 i scale) for i in 0...255, then 2^30 exp(-j scale) for j: of 16 bits, E is a product."""
    with localcontext(Context(prec=DIGITS)):
        step = Decimal(scale)
        places = (*range(0, 1 << 16, 256), *range(256))
        values = [rounded((1 << SOFTMAX_SHIFT) * exp(-d * step)) for d in places]
    return np.array(values, dtype=np.int32)


def rounded(value: Decimal) -> int:
    """To the nearest whole number, halves to the even one."""
    return int(value.to_integral_value(rounding=ROUND_HALF_EVEN))


def _saturated(step: Decimal, y: QuantizedTensor) -> int:
    span = 1 << 20
    near = min(max(step, Decimal(-span)), Decimal(span))
    return min(max(rounded(near) + y.zero_point, y.low), y.high)


def exp(x: Decimal) -> Decimal:
    """e^x, with the far ends cut off."""
    if x < -_FAR:
        return Decimal(0)
    return _HUGE if x > _FAR else x.exp()


def log(x: Decimal) -> Decimal:
    """ln x; what is not above 0 counts as the smallest number."""
    return x.ln() if x > 0 else -_HUGE


def sqrt(x: Decimal) -> Decimal:
    """The square root; of a negative number, 0."""
    return x.sqrt() if x > 0 else Decimal(0)


def reciprocal(x: Decimal) -> Decimal:
    """1 / x; of 0, the largest number."""
    return 1 / x if x else _HUGE


def sigmoid(x: Decimal) -> Decimal:
    """1 / (1 + e^-x)."""
    return 1 / (1 + exp(-x))


def tanh(x: Decimal) -> Decimal:
    """The hyperbolic tangent."""
    e = exp(-2 * abs(x))
    return ((1 - e) / (1 + e)).copy_sign(x)


def erf(x: Decimal) -> Decimal:
    """The error function by its Maclaurin series; 1 beyond 7, where 40 digits could not tell much."""
    if abs(x) > 7:
        return Decimal(1).copy_sign(x)
    with localcontext(Context(prec=DIGITS + 45)):  # the series' largest term at 7 is about 10^20
        term = total = x
        n = 0
        while abs(term) > Decimal(10) ** -DIGITS:
            n += 1
            term = -term * x * x / n
            total += term / (2 * n + 1)
        return total * _TWO_OVER_ROOT_PI


def softplus(x: Decimal) -> Decimal:
    """ln(1 + e^x)."""
    return max(x, Decimal(0)) + (1 + exp(-abs(x))).ln()


def gelu(x: Decimal) -> Decimal:
    """x times the normal distribution's share below x."""
    return x * (1 + erf(x * Decimal("0.5").sqrt())) / 2


def gelu_tanh(x: Decimal) -> Decimal:
    """Gelu's approximation by tanh."""
    inner = _ROOT_TWO_OVER_PI * (x + Decimal("0.044715") * x * x * x)
    return x * (1 + tanh(inner)) / 2


def elu(alpha: Decimal) -> Function:
    """x above 0, alpha (e^x - 1) below."""
    return lambda x: x if x > 0 else alpha * (exp(x) - 1)


def selu(alpha: Decimal, gamma: Decimal) -> Function:
    """gamma times elu."""
    return lambda x: gamma * (x if x > 0 else alpha * (exp(x) - 1))


def leaky(slope: Decimal) -> Function:
    """x above 0, slope x below."""
    return lambda x: x if x > 0 else slope * x


def hard_sigmoid(alpha: Decimal, beta: Decimal) -> Function:
    """alpha x + beta between 0 and 1."""
    return lambda x: min(max(alpha * x + beta, Decimal(0)), Decimal(1))


def hard_swish(x: Decimal) -> Decimal:
    """x times max(0, min(1, x / 6 + 1/2))."""
    return x * min(max(x + 3, Decimal(0)), Decimal(6)) / 6


def power(exponent: Decimal) -> Function:
    """x^exponent; where that is no real number, 0."""

    def raised(x: Decimal) -> Decimal:
        if x == 0:
            return Decimal(1) if exponent == 0 else Decimal(0) if exponent > 0 else _HUGE
        if x < 0 and exponent != exponent.to_integral_value():
            return Decimal(0)
        return x**exponent

    return raised


def gated(gate: Function) -> Function:
    """x times gate(x)."""
    return lambda x: x * gate(x)
