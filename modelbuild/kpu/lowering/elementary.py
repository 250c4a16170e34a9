"""Elementary functions of float64 arrays made of single IEEE operations: the same bits on any machine.

Errors are some units in the last place, which no table of 8 bits can tell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10  # their sum; the first has 33 bits
_PER_LN2 = 1.4426950408889634074
_FAR = 700.0  # of an exponent: what lies beyond counts as this
_TWO_OVER_ROOT_PI = 1.1283791670955125739
_ROOT_PI = 1.7724538509055160273
_HALF_PI = 1.57079632679489661923
_BELOW_ONE = 1.0 - 2.0**-53
_SERIES = 3.0  # from there on erf is 1 less a continued fraction


def exp(x: Real) -> Real:
    """e^x within e^-700 and e^700."""
    x = np.clip(x, -_FAR, _FAR)
    whole = np.rint(x * _PER_LN2)
    rest = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    total = np.ones_like(rest)
    for number in range(14, 0, -1):
        total = 1.0 + total * rest / number
    return np.asarray(np.ldexp(total, whole.astype(np.int32)))


def log(x: Real) -> Real:
    """ln x; what is not above 0 counts as the smallest number."""
    mantissa, exponent = np.frexp(np.maximum(x, np.finfo(np.float64).tiny))
    low = mantissa < 0.70710678118654752440
    mantissa, exponent = np.where(low, 2.0 * mantissa, mantissa), exponent - low
    part = (mantissa - 1.0) / (mantissa + 1.0)
    square, total = part * part, np.zeros_like(part)
    for number in range(25, 0, -2):
        total = 1.0 / number + total * square
    return np.asarray((2.0 * part * total + exponent * _LN2_LOW) + exponent * _LN2_HIGH)


def tanh(x: Real) -> Real:
    """The hyperbolic tangent."""
    power = exp(-2.0 * np.abs(x))
    small = np.abs(x) < 1e-5  # there the difference would lose digits
    return np.asarray(np.where(small, x, np.copysign((1.0 - power) / (1.0 + power), x)))


def sigmoid(x: Real) -> Real:
    """1 / (1 + e^-x)."""
    return np.asarray(1.0 / (1.0 + exp(-x)))


def softplus(x: Real) -> Real:
    """ln(1 + e^x)."""
    return np.asarray(np.maximum(x, 0.0) + log(1.0 + exp(-np.abs(x))))


def atan(x: Real) -> Real:
    """The angle whose tangent is x: its series, behind two halvings of the angle."""
    rest = np.abs(x)
    far = rest > 1.0
    rest = np.where(far, 1.0 / np.maximum(rest, 1.0), rest)
    for _ in range(2):
        rest = rest / (1.0 + np.sqrt(1.0 + rest * rest))
    square, total = rest * rest, np.zeros_like(rest)
    for number in range(25, 0, -2):
        total = 1.0 / number - square * total
    angle = 4.0 * rest * total
    return np.asarray(np.copysign(np.where(far, _HALF_PI - angle, angle), x))


def asin(x: Real) -> Real:
    """The angle whose sine is x; what lies beyond 1 counts as 1."""
    x = np.clip(x, -1.0, 1.0)
    return 2.0 * atan(x / (1.0 + np.sqrt((1.0 - x) * (1.0 + x))))


def acos(x: Real) -> Real:
    """The angle whose cosine is x; what lies beyond 1 counts as 1."""
    return _HALF_PI - asin(x)


def asinh(x: Real) -> Real:
    """ln(x + sqrt(x² + 1))."""
    size = np.abs(x)
    return np.asarray(np.copysign(log(size + np.sqrt(size * size + 1.0)), x))


def acosh(x: Real) -> Real:
    """ln(x + sqrt(x² - 1)); what lies below 1 counts as 1."""
    x = np.maximum(x, 1.0)
    return log(x + np.sqrt(x - 1.0) * np.sqrt(x + 1.0))


def atanh(x: Real) -> Real:
    """ln((1 + x) / (1 - x)) / 2; 1 and what lies beyond count as the largest number below."""
    x = np.clip(x, -_BELOW_ONE, _BELOW_ONE)
    return log((1.0 + x) / (1.0 - x)) / 2.0


def erf(x: Real) -> Real:
    """The error function: its series near 0, a continued fraction for the rest."""
    far = np.abs(x) >= _SERIES
    near, beyond = np.where(far, 0.0, x), np.where(far, np.abs(x), _SERIES)
    square, term = near * near, near.copy()
    total = near.copy()
    for number in range(1, 70):
        term = -term * square / number
        total = total + term / (2 * number + 1)
    fraction = beyond.copy()
    for number in range(40, 0, -1):
        fraction = beyond + (number / 2) / fraction
    rest = exp(-beyond * beyond) / (_ROOT_PI * fraction)
    return np.asarray(np.where(far, np.copysign(1.0 - rest, x), total * _TWO_OVER_ROOT_PI))


def power(x: Real, exponent: float) -> Real:
    """x^exponent; 0 where that is no real number."""
    whole = exponent == int(exponent)
    if whole and abs(exponent) <= 8:
        total = np.ones_like(x)
        for _ in range(int(abs(exponent))):
            total = total * x
        return total if exponent >= 0 else np.asarray(1.0 / np.where(total == 0.0, 1e-300, total))
    if exponent == 0.5:
        return np.asarray(np.sqrt(np.maximum(x, 0.0)))
    made = np.where(x == 0.0, 0.0, exp(exponent * log(np.abs(x))))
    if not whole:
        return np.where(x < 0.0, 0.0, made)
    return np.asarray(np.where((x < 0.0) & (int(exponent) % 2 == 1), -made, made))
