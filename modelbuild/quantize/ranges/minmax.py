"""The whole range that was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """(low, high) as observed."""
    return observation.histogram.low, observation.histogram.high
