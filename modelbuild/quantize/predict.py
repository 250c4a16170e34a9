"""Predicted noise of quantization, on histograms: no inference is run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import Observations
from modelbuild.quantize.weighted import Weighted

Real = NDArray[np.float64]
Grid = tuple[float, int]  # scale, zero point
BEST_SNR = 200.0  # dB where nothing is lost


def squared_errors(
    histogram: Histogram, weights: Real, tensor_format: TensorFormat, grids: Sequence[Grid]
) -> Real:
    """sum over the bins of weight * mean squared error, for each grid; values lie anywhere in their bin.

    Exact zeros add nothing: every grid holds 0. With k the code of x (clamped to the format's) and
    r = x - k * scale, the integral of r^2 from 0 to x is k * scale^3 / 12 + r^3 / 3, also where x is clipped
    and where steps are finer than bins.
    """
    bins = len(histogram.counts)
    width = (histogram.high - histogram.low) / bins
    if histogram.low + width == histogram.low or histogram.high - width == histogram.high:
        middle = np.array([(histogram.low + histogram.high) / 2])
        return point_errors(middle, weights.sum(keepdims=True), tensor_format, grids)
    edges = np.asarray(histogram.low + np.arange(bins + 1) * width, np.float64)
    scales = np.array([scale for scale, _ in grids])[:, None]
    rest, steps = _rest(edges, scales, tensor_format, grids)
    np.multiply(rest * rest, rest, out=rest)
    rest *= 4.0
    steps *= scales**3
    rest += steps
    errors = rest[:, 1:] - rest[:, :-1]
    errors *= weights / (12.0 * width)
    return np.asarray(np.maximum(errors.sum(axis=1), 0.0))


def point_errors(values: Real, weights: Real, tensor_format: TensorFormat, grids: Sequence[Grid]) -> Real:
    """The weighted sum of squared errors of single values, for each grid."""
    scales = np.array([scale for scale, _ in grids])[:, None]
    rest, _ = _rest(values, scales, tensor_format, grids)
    return np.asarray((rest * rest * weights).sum(axis=1))


def clipped(values: Real, tensor_format: TensorFormat, grids: Sequence[Grid]) -> Real:
    """The values within the ends of each grid, a row a grid."""
    codes = tensor_format.low, tensor_format.high
    ends = np.array([[(code - zero) * scale for scale, zero in grids] for code in codes])
    return np.asarray(np.clip(values, ends[0][:, None], ends[1][:, None]))


def _rest(
    values: Real, scales: Real, tensor_format: TensorFormat, grids: Sequence[Grid]
) -> tuple[Real, Real]:
    """(values - quantized values, codes less the zero point), a row a grid."""
    zeros = np.array([float(zero) for _, zero in grids])[:, None]
    steps = np.rint(values / scales)
    np.clip(steps, tensor_format.low - zeros, tensor_format.high - zeros, out=steps)
    return values - steps * scales, steps


def activation_noise(
    observations: Observations, name: str, tensor_format: TensorFormat, grid: Grid
) -> float | None:
    """Noise power at the model's outputs, relative to their own (mean over the outputs), when `name` alone is
    quantized. Errors of tensors hardly depend on each other: the noise of several is the sum. None where no
    gradient is known, 0 where no output depends on the tensor."""
    histogram = observations.tensors[name].histogram
    if observations.is_unused(name):
        return 0.0
    if histogram.weights is None or not observations.outputs:
        return None
    error = float(squared_errors(histogram, histogram.weights, tensor_format, [grid])[0])
    return error / (observations.samples * observations.outputs)


def weight_noise(
    observations: Observations, found: Weighted, difference: Real, x: str, y: str, error: Real | None = None
) -> float | None:
    """As `activation_noise`, when the weights of the node that makes `y` from `x` alone are quantized.

    `difference` [O, ...]: quantized less exact weights. Inputs count as independent of each other, and the
    mean error as taken out (bias correction), so that an output channel's mean square error is the sum of
    difference^2 * variance of the input channel, of each tap as often as it meets the input; or it is
    `error` [O], where more is known of the inputs. None where no gradient is known, or channels are not what
    is multiplied.
    """
    source, made = observations.tensors[x], observations.channel_weight(y)
    if observations.is_unused(y):
        return 0.0
    if made is None or not observations.outputs or len(source.channel_sum) != found.channels:
        return None
    if len(made) != len(difference):
        return None
    if error is None:
        error = found.mean_of(source.channel_variance, np.square(difference))
    return float((made * error).sum()) / (observations.samples * observations.outputs)


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise), rounded to 0.1 dB and kept within +-200 dB."""
    if noise <= 0.0:
        return BEST_SNR
    if signal <= 0.0:
        return -BEST_SNR
    return round(min(max(10 * math.log10(signal / noise), -BEST_SNR), BEST_SNR), 1)
