"""The range of the least squared error on the tensor itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.ranges.search import least_error


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """All values count alike. With `through`, the error that counts is that of this function's results."""
    histogram = observation.histogram
    counts = histogram.counts.astype(np.float64)
    return least_error(histogram, counts, tensor_format, through=options.get("through"))
