"""Functions of one tensor beyond those that networks mostly have, as a few operations each."""

from __future__ import annotations

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.kpu.lowering.sheet import Formula, Sheet

Tensor = QuantizedTensor


def above(s: Sheet, x: Tensor | float, limit: Tensor | float, y: Tensor | None = None) -> Tensor:
    """1 where x > limit, 0 elsewhere: a difference is 0 for equal values alone."""
    return s.max(s.sign(s.sub(x, limit)), 0.0, y)


def acosh(s: Sheet, x: Tensor, y: Tensor) -> None:
    """ln(x + sqrt(x - 1) sqrt(x + 1))."""
    root = s.mul(s.sqrt(s.sub(x, 1.0)), s.sqrt(s.add(x, 1.0)))
    s.log(s.add(x, root), y)


def asinh(s: Sheet, x: Tensor, y: Tensor) -> None:
    """sign(x) ln(|x| + sqrt(x² + 1))."""
    root = s.sqrt(s.add(s.square(x), 1.0))
    s.mul(s.log(s.add(s.abs(x), root)), s.sign(x), y)


def atan(s: Sheet, x: Tensor, y: Tensor) -> None:
    """asin(x / sqrt(x² + 1))."""
    s.asin(s.div(x, s.sqrt(s.add(s.square(x), 1.0))), y)


def atanh(s: Sheet, x: Tensor, y: Tensor) -> None:
    """ln((1 + x) / (1 - x)) / 2."""
    s.mul(s.log(s.div(s.add(x, 1.0), s.sub(1.0, x))), 0.5, y)


def cosh(s: Sheet, x: Tensor, y: Tensor) -> None:
    """(e^x + e^-x) / 2."""
    s.mul(s.add(s.exp(x), s.exp(s.neg(x))), 0.5, y)


def sinh(s: Sheet, x: Tensor, y: Tensor) -> None:
    """(e^x - e^-x) / 2."""
    s.mul(s.sub(s.exp(x), s.exp(s.neg(x))), 0.5, y)


def tan(s: Sheet, x: Tensor, y: Tensor) -> None:
    """sin x / cos x."""
    s.div(s.sin(x), s.cos(x), y)


def celu(alpha: float) -> Formula:
    """x above 0, alpha (e^(x / alpha) - 1) below."""

    def run(s: Sheet, x: Tensor, y: Tensor) -> None:
        low = s.mul(s.sub(s.exp(s.mul(s.min(x, 0.0), 1 / alpha)), 1.0), alpha)
        s.add(s.max(x, 0.0), low, y)

    return run


def shrink(limit: float, bias: float) -> Formula:
    """x - bias above the limit, x + bias below its negative, 0 between."""

    def run(s: Sheet, x: Tensor, y: Tensor) -> None:
        high = s.mul(s.sub(x, bias), above(s, x, limit))
        low = s.mul(s.add(x, bias), above(s, -limit, x))
        s.add(high, low, y)

    return run


def thresholded(limit: float) -> Formula:
    """x above the limit, 0 elsewhere."""
    return lambda s, x, y: s.mul(x, above(s, x, limit), y)
