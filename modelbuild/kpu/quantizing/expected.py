"""Where the values of a layer lie, as its weights let expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.in_order import mean_in_order, sum_in_order

Real = NDArray[np.float64]

# Of an input's bytes: how far their mean lies from a zero point at either end, and their deviation. Tried on
# YOLOX-nano: its SiLU tables add 0.017 to the mean squared error of rounding. They add 0.050 where all values
# count the same, 0.011 where their distribution is known; 0.7 or 1.4 times the deviation does nearly as well.
_MEAN, _DEVIATION = 12.0, 20.0
_CHANNELS = 64  # that are looked at


@dataclass(frozen=True)
class Expected:
    """What a convolution leaves, in real units: of each channel [O] the middle, and how wide it spreads."""

    middle: Real
    width: Real

    def below(self, places: Real) -> Real:
        """The share of values below each place. A channel's rises like t / sqrt(1 + t²): long tails."""
        distance = (places - self.middle[:, None]) / self.width[:, None]
        return (1.0 + mean_in_order(distance / np.sqrt(1.0 + distance * distance))) / 2.0


def expected(weight: NDArray[Any], factors: Real, bias: Real, zero_point: int) -> Expected:
    """From integer weights [O, ...], real units a step of their sums [O], biases in real units [O] and the
    zero point of the input: inputs without sign have their mean beside zero, all are taken as independent."""
    step = -(-len(weight) // _CHANNELS)
    rows, scale = weight.reshape(len(weight), -1)[::step].astype(np.float64), factors[::step]
    mean = _MEAN * (1.0 - zero_point / 127.5)
    width = np.sqrt(sum_in_order(rows * rows)) * _DEVIATION * scale
    least = 1e-9 + 1e-3 * float(width.max(initial=0.0))
    return Expected(bias[::step] + sum_in_order(rows) * mean * scale, np.maximum(width, least))


def interpolated(places: Real, known: Real, values: Real) -> Real:
    """Between neighbours of `known` (ascending, equal steps or not) linearly; the ends' values beyond them.
    numpy's own may fuse products and sums, and then differs between processors."""
    inside = np.clip(places, known[0], known[-1])
    cell = np.clip(np.searchsorted(known, inside, side="right") - 1, 0, len(known) - 2)
    width = known[cell + 1] - known[cell]
    part = (inside - known[cell]) / np.where(width > 0, width, 1.0)
    return np.asarray(values[cell] + part * (values[cell + 1] - values[cell]), np.float64)
