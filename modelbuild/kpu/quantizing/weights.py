"""Weights as the KPU takes them: bytes around 128, or from 0 on, and corrections that take both zero points
out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError

ZERO = 128  # the byte of a weight of 0
BYTE = 255


@dataclass(frozen=True)
class UnsignedWeights:
    """`weight` uint8, shaped as the signed ones. With these corrections the sum of a layer is
    Σ (x - zero point)(weight - 128), or Σ (x - zero point) weight of weights from 0 on, for any bytes x:
    no term is shifted, so nothing is rounded."""

    weight: NDArray[np.uint8]
    arg_x: int
    shift_x: int
    arg_w: int
    shift_w: int
    arg_add: int
    pad_value: int

    def parameters(self) -> dict[str, int]:
        """As `kpu_conv` names them."""
        names = ("arg_x", "shift_x", "arg_w", "shift_w", "arg_add", "pad_value")
        return {name: getattr(self, name) for name in names}


def unsigned_weights(weight: NDArray[Any], zero_point: int) -> UnsignedWeights:
    """Of signed weights [O, I, k, k], or [C, 1, k, k] of a depthwise layer, -128...127 or 0...255, for an
    input of this zero point. `arg_add` counts once an input channel of a sum, so it is the same for depthwise
    layers.
    Errors: ModelbuildError for codes that a byte does not hold."""
    zero = 0 if weight.size and weight.max() > BYTE - ZERO else ZERO
    if weight.size and (weight.min() < -zero or weight.max() > BYTE - zero):
        raise ModelbuildError(
            f"weights of {int(weight.min())} to {int(weight.max())} are no bytes",
            why="the KPU multiplies bytes by bytes",
            advice="quantize the weights to 8 bits",
        )
    if not 0 <= zero_point <= BYTE:
        raise ModelbuildError(f"the zero point {zero_point} of a KPU layer's input is no byte")
    made = (weight.astype(np.int16) + zero).astype(np.uint8)
    taps = weight.shape[2] * weight.shape[3]
    return UnsignedWeights(made, -zero, 0, -zero_point, 0, taps * zero * zero_point, zero_point)


def sum_bounds(weight: NDArray[Any], zero_point: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The least and the largest Σ (x - zero point) weight of each output channel [O], for any bytes x."""
    rows = weight.reshape(len(weight), -1).astype(np.int64)
    rising, falling = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    below, above = -zero_point, BYTE - zero_point
    return rising * below + falling * above, rising * above + falling * below
