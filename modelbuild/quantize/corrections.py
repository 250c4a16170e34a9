"""Integer corrections of biases: whatever errors an output channel has, their mean is taken out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.in_order import sum_in_order
from modelbuild.quantize.number_format import Formats
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import QuantizedWeights, quantize_weights

Real = NDArray[np.float64]
MOST = 2.0  # a correction is at most so many times as large as the bias, or as what the channel holds


def bias_correction(
    found: Weighted,
    formats: Formats,
    scales: Real,
    input_scale: float,
    input_mean: Real,
    excess: float = 0.0,
    flips: NDArray[np.bool_] | None = None,
) -> tuple[int, ...]:
    """-E[dW x] an output channel, in steps of the accumulator: analytic bias correction (facts of DFQ).

    `scales` are those of the weights, an output channel each; `excess` as in `mean_correction`, `flips` as in
    `quantize_weights`.
    """
    made = whole_weights(found, formats, scales, input_scale, flips)
    return mean_correction(found, made, input_scale, input_mean, excess=excess)


def whole_weights(
    found: Weighted,
    formats: Formats,
    scales: Real,
    input_scale: float,
    flips: NDArray[np.bool_] | None = None,
) -> QuantizedWeights:
    """The integers of weights of `scales`, which grow where biases would not fit."""
    form, bits = formats.activation.form, formats.weight_bits
    operand_bits = 16 if max(bits, formats.activation.bits) > 8 else 8
    return quantize_weights(
        found.weight, found.bias, input_scale, scales, bits, operand_bits, form, flips=flips
    )


def mean_correction(
    found: Weighted,
    made: QuantizedWeights,
    input_scale: float,
    input_mean: Real,
    moved: Real | None = None,
    rms: Real | None = None,
    excess: float = 0.0,
) -> tuple[int, ...]:
    """E[W x] - E[W^ x^] an output channel, in steps of the accumulator; x^ is what the fixed-point model has.

    `input_mean` [C]: E[x]. `moved` [groups, K]: E[x^ - x] of what the weights multiply, 0 where not known.
    `rms` [O] of the outputs: keeps a correction from blowing up, within twice the larger of it and the bias.
    `excess`: by how much all outputs are to be lower, for what comes behind (half_up.py).
    """
    column = made.scales.reshape(-1, *([1] * (found.weight.ndim - 1)))
    rounded = made.integers * column
    shift = found.mean_of(input_mean, found.weight - rounded)
    if moved is not None:
        rows = rounded.reshape(found.group, -1, moved.shape[1])
        shift = shift - sum_in_order(rows * moved[:, None, :]).reshape(-1)
    if rms is not None:
        bound = MOST * np.maximum(np.abs(found.bias.astype(np.float64)), rms)
        shift = np.clip(shift, -bound, bound)
    return tuple(int(step) for step in np.rint((shift - excess) / (input_scale * made.scales)))
