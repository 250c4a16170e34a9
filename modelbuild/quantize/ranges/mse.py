"""The range of the least squared error on the tensor itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.predict import Grid, clipped, squared_errors
from modelbuild.quantize.ranges.search import cheapest
from modelbuild.quantize.settings import OPTION_DEFAULTS

Real = NDArray[np.float64]


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """All values count alike. With `through`, a function of arrays, the error that counts is that of its
    results: what a table after the tensor flattens may be clipped.

    `outlier_factor`: how much the squared errors of values outside the range count, beside those inside.
    `max_clipped`: the largest share of the values that may lie outside, further than rounding goes.
    """
    histogram = observation.histogram
    outside = _Outside(histogram, tensor_format, options)
    counts = histogram.counts.astype(np.float64)
    through: Callable[[Real], Real] | None = options.get("through")

    def cost(grids: Sequence[Grid]) -> Real:
        if through is None:
            errors = squared_errors(histogram, counts, tensor_format, grids)
            return outside.counted(errors, grids, lambda values: values)
        values = histogram.centres()
        scales = np.array([scale for scale, _ in grids])[:, None]
        steps = np.rint(clipped(values, tensor_format, grids) / scales)
        errors = (np.square(through(steps * scales) - through(values)) * counts).sum(axis=1)
        return outside.counted(np.asarray(errors), grids, through)

    return cheapest((min(histogram.low, 0.0), max(histogram.high, 0.0)), tensor_format, cost)


class _Outside:
    """What the options say of values outside the range."""

    def __init__(self, histogram: Histogram, form: TensorFormat, options: Mapping[str, Any]) -> None:
        self._form = form
        self._values, self._counts = histogram.values()
        self._factor = float(options.get("outlier_factor", OPTION_DEFAULTS["outlier_factor"]))
        self._most = float(options.get("max_clipped", OPTION_DEFAULTS["max_clipped"])) * self._counts.sum()

    def counted(self, errors: Real, grids: Sequence[Grid], through: Callable[[Real], Real]) -> Real:
        """The errors, with those of values outside counted `outlier_factor` times; infinite where there are
        too many of these."""
        if self._factor == 1.0 and self._most >= self._counts.sum():
            return errors
        ends = clipped(self._values, self._form, grids)
        steps = np.array([scale for scale, _ in grids])[:, None]
        beyond = np.abs(self._values - ends) > steps / 2
        lost = np.square(through(ends) - through(self._values)) * self._counts
        counted = errors + (self._factor - 1.0) * np.where(beyond, lost, 0.0).sum(axis=1)
        many = (beyond * self._counts).sum(axis=1) > self._most
        return np.asarray(np.where(many, np.inf, np.maximum(counted, 0.0)))
