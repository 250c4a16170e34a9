"""Kernels that move bytes or floats, and those between bytes and floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.executing import Kernel, Values
from modelbuild.arithmetic.tables import looked_up

_PAD_MODES = {"reflect": "reflect", "symmetric": "symmetric", "edge": "edge"}
_SINGLE = np.float32


def quantize(bound: Bound) -> Kernel:
    """x·factor rounded to float32, plus offset, rounded again, to the nearest whole number, halves to even.
    What 32 bits do not hold is taken for their lowest number, so for the lowest code."""
    low, high, dtype = bound.output.low, bound.output.high, bound.output.dtype
    factor, offset = (bound.constant(role)[()] for role in ("factor", "offset"))

    def run(x: Values) -> Values:
        with np.errstate(over="ignore", invalid="ignore"):
            steps = np.rint(x * factor + offset)
        steps[~(steps < _SINGLE(1 << 31))] = low
        return np.asarray(np.clip(steps, low, high), dtype)

    return run


def dequantize(bound: Bound) -> Kernel:
    """x·factor rounded to float32, plus offset, rounded again: 256 answers."""
    factor, offset = (bound.constant(role)[()] for role in ("factor", "offset"))
    with np.errstate(over="ignore", invalid="ignore"):
        codes = np.arange(bound.inputs[0].low, bound.inputs[0].high + 1)
        answers: NDArray[np.float32] = codes.astype(_SINGLE) * factor + offset
    if bound.inputs[0].signed:
        answers = np.roll(answers, len(codes) // 2)  # by the bits of the code
    return lambda x: np.asarray(answers[x.view(np.uint8)])


def lookup(bound: Bound) -> Kernel:
    """256 stored answers."""
    return looked_up(bound.constant("table"), bound.inputs[0])


def reshape(bound: Bound) -> Kernel:
    """The same values in another shape."""
    shape = bound.output.shape
    return lambda x: x.reshape(shape)


def transpose(bound: Bound) -> Kernel:
    """The same values, axes in another order."""
    order = bound.numbers("permutation")
    return lambda x: np.ascontiguousarray(x.transpose(order))


def concat(bound: Bound) -> Kernel:
    """Side by side."""
    axis = bound.number("axis")
    return lambda *inputs: np.concatenate(inputs, axis=axis)


def pad(bound: Bound) -> Kernel:
    """`value` around the input, or what its borders hold."""
    widths = tuple(zip(bound.numbers("before"), bound.numbers("after"), strict=True))
    mode, value = bound.text("mode"), bound.constant("value")
    if mode == "constant":
        return lambda x: np.pad(x, widths, constant_values=value)
    return lambda x: np.pad(x, widths, mode=_PAD_MODES[mode])  # type: ignore[call-overload]


def expand(bound: Bound) -> Kernel:
    """Axes of one cell repeated."""
    shape = bound.output.shape
    return lambda x: np.ascontiguousarray(np.broadcast_to(x, shape))
