"""The range of the least squared error on the tensor itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.predict import Grid, clipped, squared_errors
from modelbuild.quantize.ranges.search import cheapest

Real = NDArray[np.float64]


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """All values count alike. With `through`, a function of arrays, the error that counts is that of its
    results: what a table after the tensor flattens may be clipped."""
    histogram = observation.histogram
    counts = histogram.counts.astype(np.float64)
    through: Callable[[Real], Real] | None = options.get("through")

    def cost(grids: Sequence[Grid]) -> Real:
        if through is None:
            return squared_errors(histogram, counts, tensor_format, grids)
        values = histogram.centres()
        scales = np.array([scale for scale, _ in grids])[:, None]
        steps = np.rint(clipped(values, tensor_format, grids) / scales)
        return np.asarray((np.square(through(steps * scales) - through(values)) * counts).sum(axis=1))

    return cheapest((min(histogram.low, 0.0), max(histogram.high, 0.0)), tensor_format, cost)
