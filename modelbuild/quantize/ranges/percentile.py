"""The range that holds a given share of the values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.settings import OPTION_DEFAULTS


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """`percentile` of the values lie inside; with `percentile_16bit` so many where the format has 16 bits.

    Symmetric: the smallest t that holds the share of |x|. Asymmetric: half of the rest is cut at each end.
    """
    key = "percentile_16bit" if tensor_format.bits > 8 and "percentile_16bit" in options else "percentile"
    share = options.get(key, OPTION_DEFAULTS["percentile"])
    histogram = observation.histogram
    if share == 100:
        return histogram.low, histogram.high
    values, weights = histogram.values()
    half_bin = (histogram.high - histogram.low) / len(histogram.counts) / 2
    if tensor_format.symmetric:
        reach = min(_quantile(np.abs(values), weights, share / 100) + half_bin, _reach(histogram))
        return max(-reach, histogram.low), min(reach, histogram.high)
    rest = (1 - share / 100) / 2
    low = -_quantile(-values, weights, 1 - rest) - half_bin
    high = _quantile(values, weights, 1 - rest) + half_bin
    return max(low, histogram.low), min(high, histogram.high)


def _quantile(values: np.ndarray[Any, Any], weights: np.ndarray[Any, Any], share: float) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    index = int(np.searchsorted(reached, share * reached[-1], side="left"))
    return float(values[order][min(index, len(values) - 1)])


def _reach(histogram: Histogram) -> float:
    return max(abs(histogram.low), abs(histogram.high))
