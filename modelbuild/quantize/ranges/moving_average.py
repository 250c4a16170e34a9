"""The moving average of the samples' extremes: what one sample alone reached counts little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.settings import OPTION_DEFAULTS


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """From the first sample's extremes on, average = momentum * average + (1 - momentum) * the next one's."""
    momentum = float(options.get("momentum", OPTION_DEFAULTS["momentum"]))
    rows = observation.sample_ranges
    if not len(rows):  # observed at once
        return observation.histogram.low, observation.histogram.high
    low, high = (float(end) for end in rows[0])
    for row in rows[1:]:
        low = momentum * low + (1 - momentum) * float(row[0])
        high = momentum * high + (1 - momentum) * float(row[1])
    return low, high
