"""The range of the model's outputs: what was seen, and what new samples will reach as well."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation

RARE = 1000  # of so many new samples one may reach further
SHARE = 4  # the largest extremes that tell of the others: one of so many
MOST = 1.5  # times what was seen


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """The whole range and, at each open end, what an exponential tail through the largest quarter of the
    samples' extremes passes once in `RARE` samples.

    Of n samples, one in n further ones lies beyond all, and it is the largest scores that decide: clipped,
    they are equal. A format that has to double its steps for the room does without it.
    """
    low, high = observation.histogram.low, observation.histogram.high
    rows = observation.sample_ranges
    wide = -_reach(-rows[:, 0], -low), _reach(rows[:, 1], high)
    narrow, coarse = tensor_format.grid(low, high)[0], tensor_format.grid(*wide)[0]
    return (low, high) if coarse >= 2 * narrow else wide


def _reach(extremes: NDArray[np.float64], seen: float) -> float:
    """How far new samples go, of which the farthest came to `seen`."""
    count = len(extremes) // SHARE
    if count < 2 or seen <= 0:
        return seen
    ordered = np.sort(extremes)[::-1]
    start = float(ordered[count])
    excess = float(ordered[:count].mean()) - start
    return min(max(start + excess * math.log(RARE / SHARE), seen), MOST * seen)
