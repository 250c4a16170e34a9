"""Integer corrections of biases that make up for the mean error of rounded weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.number_format import Formats
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import quantize_weights


def bias_correction(
    found: Weighted,
    formats: Formats,
    scales: NDArray[np.float64],
    input_scale: float,
    input_mean: NDArray[np.float64],
) -> tuple[int, ...]:
    """-E[dW x] an output channel, in steps of the accumulator: analytic bias correction (facts of DFQ).

    `scales` are those of the weights, an output channel each.
    """
    form, bits = formats.activation.form, formats.weight_bits
    operand_bits = 16 if max(bits, formats.activation.bits) > 8 else 8
    made = quantize_weights(found.weight, found.bias, input_scale, scales, bits, operand_bits, form)
    column = made.scales.reshape(-1, *([1] * (found.weight.ndim - 1)))
    difference = made.integers * column - found.weight
    shift = found.mean_of(input_mean, difference)
    return tuple(int(step) for step in np.rint(-shift / (input_scale * made.scales)))
