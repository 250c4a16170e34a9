"""How far new samples go beyond those that were seen: an exponential tail of the samples' own extremes."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from decimal import Context, Decimal

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.observations import TensorObservation

SHARE = 4  # the largest extremes that tell of the others: one of so many
_DIGITS = Context(prec=20)
# Sums of numbers beyond the first overflow; a power of two leaves their digits as they are.
_LARGE, _UNIT = 2.0**900, 2.0**128


@dataclass(frozen=True)
class Tail:
    """Of new samples, exp((start - x) / excess) / SHARE reach further than x >= start."""

    start: float
    excess: float  # the mean, of those that reach further than the start

    @classmethod
    def of(cls, extremes: NDArray[np.float64], samples: NDArray[np.int64] | None = None) -> Tail | None:
        """From the largest value of each sample, or means of neighbours', of so many `samples` each: those
        vary less, by the root of their number. None where there are fewer than 8 rows.

        The mean excess is the maximum likelihood estimate of an exponential tail's (peaks over a threshold:
        Davison and Smith, "Models for exceedances over high thresholds", 1990, with shape 0).
        """
        count = len(extremes) // SHARE
        if count < 2:
            return None
        unit = _UNIT if float(np.abs(extremes).max()) > _LARGE else 1.0
        values = extremes / unit
        if samples is not None and samples.max() > 1:
            values = _spread(values, samples)
        start, *largest = np.sort(values)[-count - 1 :].tolist()
        excess = math.fsum(value - start for value in largest) / count
        return cls(_finite(start * unit), _finite(excess * unit))

    def passed_by(self, share: float) -> float:
        """The end that this share of new samples passes; the start, if it is more than one of SHARE."""
        if self.excess <= 0.0:
            return self.start
        # decimal, since logarithms of floats are not the same on every machine
        return self.start - self.excess * float(Decimal(min(SHARE * share, 1.0)).ln(_DIGITS))


def tails(observation: TensorObservation) -> tuple[Tail | None, Tail | None]:
    """(below, of the negated values; above)"""
    rows = observation.sample_ranges
    samples = observation.samples_of_rows if len(rows) else None
    return Tail.of(-rows[:, 0], samples), Tail.of(rows[:, 1], samples)


def _spread(means: NDArray[np.float64], samples: NDArray[np.int64]) -> NDArray[np.float64]:
    """Means of so many samples each, as far from the mean of all as samples are."""
    mean = math.fsum(means * samples) / int(samples.sum())
    return mean + np.sqrt(samples) * (means - mean)


def _finite(number: float) -> float:
    return min(max(number, -sys.float_info.max), sys.float_info.max)
