"""The whole range that was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat


def choose(
    histogram: Histogram, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """(low, high) as observed."""
    return histogram.low, histogram.high
