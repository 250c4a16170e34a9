"""Search of the range whose rounding and clipping together do the least weighted squared error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.predict import Grid, point_errors, squared_errors

# Shares of the observed end that are tried: first coarse, then around the best.
COARSE = tuple(round(1.0 - 0.02 * step, 4) for step in range(49))
FINE = tuple(round(0.0025 * step, 4) for step in range(-8, 9))
ROUNDS = 4
TAIL = 64  # the largest values that tell how far the next one may lie beyond them

Real = NDArray[np.float64]
Function = Callable[[Real], Real]
Range = tuple[float, float]


def least_error(
    histogram: Histogram,
    weights: Real,
    tensor_format: TensorFormat,
    *,
    through: Function | None = None,
    beyond: bool = False,
) -> Range:
    """Coordinate descent over (low, high); both ends together where the format is symmetric.

    `weights` a bin: what a squared error there costs. With `through`, a function of arrays, the error that
    counts is that of its results: what a table after the tensor flattens may be clipped.

    `beyond`: few values say little about the largest of new samples, so that each open end gets one value
    more, as far out as an exponential tail through the largest ones has it; of thousands it is one more.
    """
    search = _Search(histogram, weights, tensor_format, through, beyond)
    whole = search.whole
    if tensor_format.symmetric:
        reach = max(-whole[0], whole[1])
        best = search.best([_cut(whole, share * reach) for share in COARSE])
        share = max(-best[0], best[1]) / reach if reach else 1.0
        return search.best([best, *(_cut(whole, (share + step) * reach) for step in FINE)])
    best = whole
    for shares in (COARSE, None):
        for _ in range(ROUNDS):
            before = best
            best = search.best([best, *((low, best[1]) for low in _ends(whole[0], best[0], shares))])
            best = search.best([best, *((best[0], high) for high in _ends(whole[1], best[1], shares))])
            if best == before:
                break
    return best


class _Search:
    """The candidates' errors on one histogram."""

    def __init__(
        self,
        histogram: Histogram,
        weights: Real,
        tensor_format: TensorFormat,
        through: Function | None,
        beyond: bool,
    ) -> None:
        self._histogram, self._weights = histogram, weights
        self._format, self._through = tensor_format, through
        self._errors: dict[Grid, float] = {}
        self._beyond, self._each = np.zeros(0), np.zeros(0)
        self.whole = min(histogram.low, 0.0), max(histogram.high, 0.0)
        if beyond:
            below = _Beyond.of(histogram, histogram.counts[::-1], weights[::-1])
            above = _Beyond.of(histogram, histogram.counts, weights)
            low = histogram.low - below.distance if histogram.low < 0 else 0.0
            high = histogram.high + above.distance if histogram.high > 0 else 0.0
            self.whole = low, high
            self._beyond, self._each = np.array(self.whole), np.array([below.weight, above.weight])

    def best(self, candidates: Sequence[Range]) -> Range:
        """The candidate of the least error; the first of equals, so that wide ranges win ties."""
        grids = [self._format.grid(*ends) for ends in candidates]
        unknown = [grid for grid in dict.fromkeys(grids) if grid not in self._errors]
        if unknown:
            self._errors.update(zip(unknown, self._measure(unknown).tolist(), strict=True))
        return min(zip(candidates, grids, strict=True), key=lambda pair: self._errors[pair[1]])[0]

    def _measure(self, grids: Sequence[Grid]) -> Real:
        if self._through is not None:
            return self._through_errors(grids, self._through)
        errors = squared_errors(self._histogram, self._weights, self._format, grids)
        if len(self._beyond):
            errors += point_errors(self._beyond, self._each, self._format, grids)
        return errors

    def _through_errors(self, grids: Sequence[Grid], through: Function) -> Real:
        histogram = self._histogram
        width = (histogram.high - histogram.low) / len(histogram.counts)
        values = np.asarray(histogram.low + (np.arange(len(histogram.counts)) + 0.5) * width, np.float64)
        scales = np.array([scale for scale, _ in grids])[:, None]
        zeros = np.array([float(zero) for _, zero in grids])[:, None]
        steps = np.clip(np.rint(values / scales), self._format.low - zeros, self._format.high - zeros)
        return np.asarray((np.square(through(steps * scales) - through(values)) * self._weights).sum(axis=1))


@dataclass(frozen=True)
class _Beyond:
    """The next value beyond the largest: how far from it, and what its squared error would cost."""

    distance: float
    weight: float

    @classmethod
    def of(cls, histogram: Histogram, counts: NDArray[np.int64], weights: Real) -> _Beyond:
        """From the bins in ascending order. Of k values of an exponential tail the largest lies H(k - 1) mean
        excesses above the smallest; the weight is the mean of these k."""
        total = int(counts.sum())
        tail = min(max(total // 16, 2), TAIL)
        if total < tail:
            return cls(0.0, 0.0)
        reached = np.cumsum(counts[::-1])
        bins = int(np.searchsorted(reached, tail))
        width = (histogram.high - histogram.low) / len(counts)
        distance = bins * width / sum(1 / number for number in range(1, tail))
        return cls(distance, float(weights[::-1][: bins + 1].sum()) / float(reached[bins]))


def _cut(ends: Range, reach: float) -> Range:
    return max(ends[0], -reach), min(ends[1], reach)


def _ends(whole: float, now: float, shares: tuple[float, ...] | None) -> list[float]:
    """Other places for one end: shares of the whole, or (None) steps around where it is."""
    if whole == 0:
        return []
    if shares is not None:
        return [share * whole for share in shares]
    return [min(max(now / whole + step, 0.0), 1.0) * whole for step in FINE]
