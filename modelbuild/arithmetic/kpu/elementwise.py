"""Kernels of single floats: `binary`, `unary`, `sigmoid`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.executing import Kernel, Values

_erf = np.frompyfunc(math.erf, 1, 1)


def _precise(function: Callable[[Values], Values]) -> Kernel:
    """By way of float64, rounded once: what a correct library gives, but for one case in a billion."""
    return lambda x: np.asarray(function(x.astype(np.float64)), np.float32)


UNARY: Mapping[str, Kernel] = {
    "abs": np.abs,
    "acos": _precise(np.arccos),
    "asin": _precise(np.arcsin),
    "ceil": np.ceil,
    "cos": _precise(np.cos),
    "erf": _precise(lambda x: np.asarray(_erf(x), np.float64)),
    "exp": _precise(np.exp),
    "floor": np.floor,
    "log": _precise(np.log),
    "logical_not": lambda x: (x == 0).astype(np.float32),
    "neg": np.negative,
    "round": np.rint,
    "rsqrt": lambda x: np.float32(1) / np.sqrt(x),
    "sign": lambda x: (x > 0).astype(np.float32) - (x < 0).astype(np.float32),
    "sin": _precise(np.sin),
    "sqrt": np.sqrt,
    "square": lambda x: x * x,
    "tanh": _precise(np.tanh),
}
BINARY: Mapping[str, Kernel] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "min": lambda a, b: np.asarray(np.where(b < a, b, a)),
    "max": lambda a, b: np.asarray(np.where(a < b, b, a)),
    "pow": lambda a, b: np.power(a.astype(np.float64), b.astype(np.float64)).astype(np.float32),
}


def unary(bound: Bound) -> Kernel:
    """One of UNARY."""
    return quiet(UNARY[bound.text("op")])


def sigmoid(_: Bound) -> Kernel:
    """1 / (1 + exp(-x)) in float64, rounded once."""
    return quiet(_precise(lambda x: 1 / (1 + np.exp(-x))))


def binary(bound: Bound) -> Kernel:
    """One of BINARY, within the bounds."""
    function, clamp = quiet(BINARY[bound.text("op")]), clamped(bound)
    return lambda a, b: clamp(function(a, b))


def clamped(bound: Bound) -> Kernel:
    """Within `low` and `high`; NaN and -0.0 stay."""
    low, high = (bound.constant(role)[()] for role in ("low", "high"))

    def run(x: Values) -> Values:
        x = np.where(high < x, high, x)
        return np.asarray(np.where(x < low, low, x), np.float32)

    return run


def quiet(function: Kernel) -> Kernel:
    """Without numpy's warnings: infinities and NaN are results."""

    def run(*values: Values) -> Values:
        with np.errstate(all="ignore"):
            return np.asarray(function(*values), np.float32)

    return run
