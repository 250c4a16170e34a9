"""The range of the least error at the model's outputs, as the gradients predict it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.predict import Grid, point_errors, squared_errors
from modelbuild.quantize.ranges.search import COARSE, cheapest

TAIL = 64  # the largest values that tell how far the next one may lie beyond them

Real = NDArray[np.float64]


def known(observation: TensorObservation) -> bool:
    """Whether it is known what an error in the tensor does to the outputs, and that it does anything."""
    weights = observation.histogram.weights
    return weights is not None and bool(weights.any())


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """Each value counts as much as the squared gradient has it; for tensors that are `known`.

    With `coarse`, shares of the ends, these alone are tried first (search.py).

    Few values say little about the largest of new samples, so that each open end gets one value more, as far
    out as an exponential tail through the largest ones has it: of thousands it is one more.
    """
    histogram, weights = observation.histogram, observation.histogram.weights
    assert weights is not None
    below = _Beyond.of(histogram, histogram.counts[::-1], weights[::-1])
    above = _Beyond.of(histogram, histogram.counts, weights)
    low = histogram.low - below.distance if histogram.low < 0 else 0.0
    high = histogram.high + above.distance if histogram.high > 0 else 0.0
    beyond, costs = np.array([low, high]), np.array([below.weight, above.weight])

    def cost(grids: Sequence[Grid]) -> Real:
        errors = squared_errors(histogram, weights, tensor_format, grids)
        return errors + point_errors(beyond, costs, tensor_format, grids)

    return cheapest((low, high), tensor_format, cost, options.get("coarse", COARSE))


@dataclass(frozen=True)
class _Beyond:
    """The next value beyond the largest: how far from it, and what its squared error would cost."""

    distance: float
    weight: float

    @classmethod
    def of(cls, histogram: Histogram, counts: NDArray[np.int64], weights: Real) -> _Beyond:
        """From the bins in ascending order. Of k values of an exponential tail the largest lies H(k - 1) mean
        excesses above the smallest; the weight is the mean of these k."""
        total = int(counts.sum())
        tail = min(max(total // 16, 2), TAIL)
        if total < tail:
            return cls(0.0, 0.0)
        reached = np.cumsum(counts[::-1])
        bins = int(np.searchsorted(reached, tail))
        width = (histogram.high - histogram.low) / len(counts)
        distance = bins * width / sum(1 / number for number in range(1, tail))
        return cls(distance, float(weights[::-1][: bins + 1].sum()) / float(reached[bins]))
