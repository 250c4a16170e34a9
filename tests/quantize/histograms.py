"""Histograms of plain arrays, for tests of what reads histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.counting import Bins
from modelbuild.quantize.histogram import BINS, Histogram


def histogram_of(values: NDArray[Any], gradients: NDArray[Any] | None = None) -> Histogram:
    """Of float32 values between their own ends; `gradients` one a value."""
    low, high = float(values.min()), float(values.max())
    bins = Bins.between(np.array([low]), np.array([high]), BINS, np.float32)
    places = bins.places(bins.scaled(values), values == 0)
    counts = bins.counted(places)
    weights = (
        None if gradients is None else bins.weighed(places, np.square(gradients, dtype=np.float64))[:BINS]
    )
    return Histogram(low, high, counts[:BINS], int(counts[BINS]), weights)
