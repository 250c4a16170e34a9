"""Weights that read a model's inputs, rounded by what `observe` saw of these: no inference is run.

AdaRound's problem and solver (adaround.py), with covariances of patches of all calibration samples as its
moments. Neighbouring pixels are alike, so that errors of a kernel's weights add up, or cancel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.rounding import adaround
from modelbuild.quantize.rounding.fitting import steps_of
from modelbuild.quantize.rounding.moments import MOST_ENTRY, Moments, Problem, Real
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import code_range

SHARED = 0.98  # of what two columns have in common; weights are not to be fitted to the samples


def moments_of_covariance(covariance: Real, shared: float = 1.0) -> Moments:
    """Of patches with this covariance [groups, K, K], in whole numbers."""
    largest = max(float(np.abs(covariance).max(initial=0.0)), float(np.finfo(np.float64).tiny))
    own = np.eye(covariance.shape[1], dtype=bool)
    parts = np.where(own, covariance, covariance * shared) / largest
    return Moments(np.rint(parts * MOST_ENTRY), np.zeros_like(covariance), largest / MOST_ENTRY)


def flips_of(found: Weighted, scales: Real, bits: int, covariance: Real) -> NDArray[np.bool_]:
    """The weights [O, ...] that are not rounded to the nearest: where this lessens the mean square error of
    their output channel, by the covariance as it is."""
    steps, ends = steps_of(found, scales), code_range(bits)
    nearest = np.clip(np.rint(steps), *ends)
    rounded = adaround.round_weights(Problem(steps, *ends, 1, moments_of_covariance(covariance, SHARED)))
    exact = moments_of_covariance(covariance)
    better = exact.error(rounded - steps) < exact.error(nearest - steps)
    return np.asarray(((rounded != nearest) & better[:, :, None]).reshape(found.weight.shape))


def error_of(found: Weighted, scales: Real, difference: Real, covariance: Real) -> Real:
    """The mean square [O] of what a `difference` [O, ...] of the weights makes, their mean taken out."""
    column = scales.reshape(-1, *([1] * (difference.ndim - 1)))
    steps = (difference / column).reshape(found.group, -1, covariance.shape[1])
    error = moments_of_covariance(covariance).error(steps)
    return np.asarray(np.maximum(error, 0.0).reshape(-1) * np.square(scales))
