"""The range of tensors of 16 bits: finer steps against values that were not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.predict import squared_errors
from modelbuild.quantize.ranges.tail import Tail, tails

LEAST = 1.0625  # times what was seen: errors of the layers before take values further than in float
MOST = 2.0  # one bit of 16
LOST = 0.1  # of the power of an output: what a new sample costs that is clipped


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """Both ends between a little more than was seen and twice that, where rounding and the samples that are
    clipped are expected to do the least noise together.

    Rounding makes noise of the power r (span / seen span)^2, with r as gradients predict it; clipping
    `LOST` exp((start - end) / excess) / SHARE, by the tail of the samples' extremes. Both slopes are equal
    where (end - start) / excess = ln(LOST seen span / (2 SHARE r excess)), but for how much further the span
    is than what was seen, which moves an end by ln 2 of an excess at most. Without gradients or samples
    enough, twice what was seen.
    """
    histogram = observation.histogram
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if histogram.weights is None or not observation.samples:
        return MOST * low, MOST * high
    grid = tensor_format.grid(low, high)
    rounding = float(squared_errors(histogram, histogram.weights, tensor_format, [grid])[0])
    span = max(-low, high) if tensor_format.symmetric else high - low
    slope = 2 * rounding / observation.samples / span if span else 0.0
    below, above = tails(observation)
    return -_end(below, -low, slope), _end(above, high, slope)


def _end(tail: Tail | None, seen: float, slope: float) -> float:
    """Where what rounding costs more, `slope`, is what clipping costs less."""
    if tail is None or slope <= 0.0:
        return MOST * seen
    return min(max(tail.passed_by(slope * tail.excess / LOST), LEAST * seen), MOST * seen)
