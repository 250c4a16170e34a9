"""The range of the model's outputs: what was seen, and what new samples will reach as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.ranges.tail import Tail, tails

RARE = 1 / 1000  # the share of new samples that may reach further
MOST = 1.5  # times what was seen


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """The whole range and, at each open end, what an exponential tail through the largest quarter of the
    samples' extremes passes once in 1,000 samples.

    Of n samples, one in n further ones lies beyond all, and it is the largest scores that decide: clipped,
    they are equal. A format that has to double its steps for the room does without it.
    """
    low, high = observation.histogram.low, observation.histogram.high
    below, above = tails(observation)
    wide = -_reach(below, -low), _reach(above, high)
    narrow, coarse = tensor_format.grid(low, high)[0], tensor_format.grid(*wide)[0]
    return (low, high) if coarse >= 2 * narrow else wide


def _reach(tail: Tail | None, seen: float) -> float:
    """How far new samples go, of which the farthest came to `seen`."""
    if tail is None or seen <= 0:
        return seen
    return min(max(tail.passed_by(RARE), seen), MOST * seen)
