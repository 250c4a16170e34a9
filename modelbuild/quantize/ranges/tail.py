"""How far new samples go beyond those that were seen: an exponential tail of the samples' own extremes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context, Decimal

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.observations import TensorObservation

SHARE = 4  # the largest extremes that tell of the others: one of so many
_DIGITS = Context(prec=20)


@dataclass(frozen=True)
class Tail:
    """Of new samples, exp((start - x) / excess) / SHARE reach further than x >= start."""

    start: float
    excess: float  # the mean, of those that reach further than the start

    @classmethod
    def of(cls, extremes: NDArray[np.float64], each: int = 1) -> Tail | None:
        """From the largest value of each sample, or the means of `each` neighbours', which vary less, by the
        root of `each`; None where there are fewer than 8.

        The mean excess is the maximum likelihood estimate of an exponential tail's (peaks over a threshold:
        Davison and Smith, "Models for exceedances over high thresholds", 1990, with shape 0).
        """
        count = len(extremes) // SHARE
        if count < 2:
            return None
        mean, spread = math.fsum(extremes) / len(extremes), math.sqrt(each)
        start, *largest = (
            mean + spread * (value - mean) if each > 1 else value
            for value in np.sort(extremes)[-count - 1 :].tolist()
        )
        return cls(start, math.fsum(value - start for value in largest) / count)

    def passed_by(self, share: float) -> float:
        """The end that this share of new samples passes; the start, if it is more than one of SHARE."""
        if self.excess <= 0.0:
            return self.start
        # decimal, since logarithms of floats are not the same on every machine
        return self.start - self.excess * float(Decimal(min(SHARE * share, 1.0)).ln(_DIGITS))


def tails(observation: TensorObservation) -> tuple[Tail | None, Tail | None]:
    """(below, of the negated values; above)"""
    rows = observation.sample_ranges
    each = int(observation.samples_of_rows[0]) if len(rows) else 1
    return Tail.of(-rows[:, 0], each), Tail.of(rows[:, 1], each)
