"""The range of a function that has one of its own: all of it, or the part that is used."""

from __future__ import annotations

import numpy as np

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.predict import squared_errors

FEWEST = 8  # samples that tell which part is used

Ends = tuple[float, float]


def used(observation: TensorObservation, tensor_format: TensorFormat, natural: Ends, chosen: Ends) -> Ends:
    """The cheapest of three, by the error that gradients weigh, or by the plain one where there are none:

    * the function's range,
    * the part of it that another method has `chosen`,
    * that part with half the step, where half a step or less is cut off. Of powers of two 1 is 128 steps, one
      more than there are; cut to 127, no value is further off than with steps twice as large.
    """
    if observation.samples < FEWEST:
        return natural
    part = max(chosen[0], natural[0]), min(chosen[1], natural[1])
    tries = [natural, part]
    half = tensor_format.grid(*part)[0] / 2
    finer = max(part[0], tensor_format.low * half), min(part[1], tensor_format.high * half)
    if max(finer[0] - part[0], part[1] - finer[1]) <= half:
        tries.append(finer)
    histogram = observation.histogram
    weights = histogram.counts.astype(np.float64) if histogram.weights is None else histogram.weights
    grids = [tensor_format.grid(*ends) for ends in tries]
    costs = squared_errors(histogram, weights, tensor_format, grids)
    return tries[int(np.argmin(costs))]
