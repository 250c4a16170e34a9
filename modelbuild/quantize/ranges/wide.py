"""The range of tensors of 16 bits: steps cost nothing there, and values that were not seen do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation

ROOM = 2.0  # times what was seen: one of 16 bits


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """Both ends twice as far as the farthest value."""
    return ROOM * min(observation.histogram.low, 0.0), ROOM * max(observation.histogram.high, 0.0)
