"""Stride 2 by the four phases of a map: cells of even and odd rows and columns, side by side as channels."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.graph.phases import PHASES, phased, spread
from modelbuild.graph.taps import Window
from modelbuild.kpu.lowering.cells import padded, reshaped
from modelbuild.kpu.lowering.lowering import Lowering

Weights = NDArray[np.integer]


def phases(
    lowering: Lowering, x: QuantizedTensor, weight: Weights, window: Window
) -> tuple[QuantizedTensor, Weights, Window]:
    """The map of phases, with the weights [O, 4 C, ..] and the window of stride 1 that do the same on it."""
    shape, narrow = phased(x.shape, window)
    key = ("phases", x.name)
    if key not in lowering.made:
        lowering.made[key] = _laid(lowering, x, shape)
    return lowering.made[key], _spread(weight, window, narrow), narrow


def _laid(lowering: Lowering, x: QuantizedTensor, shape: tuple[int, ...]) -> QuantizedTensor:
    batches, channels, *size = x.shape
    even = padded(lowering, x, (0, 0), (size[0] % PHASES, size[1] % PHASES))
    opened = reshaped(lowering, even, (batches, channels, shape[2], PHASES, shape[3], PHASES), "opened")
    turned = lowering.between(x, (batches, PHASES, PHASES, channels, *shape[2:]), "turned")
    lowering.emit("transpose", (opened,), turned, {"permutation": (0, 3, 5, 1, 2, 4)})
    return reshaped(lowering, turned, shape, "phases")


def _spread(weight: Weights, window: Window, narrow: Window) -> Weights:
    """Each tap at the phase and the cell of it that it meets; zeros between."""
    outputs, channels, *taps = weight.shape
    found = np.zeros((outputs, PHASES, PHASES, channels, *narrow.kernel), weight.dtype)
    (top, _), (left, _) = (spread(count, pad) for count, pad in zip(taps, window.pads, strict=False))
    for row, column in product(*map(range, taps)):
        (down, odd_row), (right, odd_column) = (
            divmod(tap - pad, PHASES) for tap, pad in zip((row, column), window.pads, strict=False)
        )
        found[:, odd_row, odd_column, :, down - top, right - left] = weight[:, :, row, column]
    return found.reshape(outputs, PHASES**2 * channels, *narrow.kernel)
