"""The range whose rounding and clipping together do the least squared error on the histogram."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat

# Shares of the observed end that are tried: first coarse, then around the best.
COARSE = tuple(round(1.0 - 0.02 * step, 4) for step in range(49))
FINE = tuple(round(0.0025 * step, 4) for step in range(-8, 9))
ROUNDS = 4

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Range = tuple[float, float]


def choose(
    histogram: Histogram, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """Coordinate descent over (low, high); both ends together where the format is symmetric.

    With `through`, a function of arrays, the error that counts is that of its results: what a table after
    the tensor flattens may be clipped.
    """
    whole = (min(histogram.low, 0.0), max(histogram.high, 0.0))
    search = _Search(histogram, tensor_format, options.get("through"))
    if tensor_format.symmetric:
        reach = max(-whole[0], whole[1])
        ends = (max(whole[0], -reach), min(whole[1], reach))
        best = search.best([_cut(ends, share * reach) for share in COARSE])
        share = max(-best[0], best[1]) / reach if reach else 1.0
        return search.best([best, *(_cut(ends, (share + step) * reach) for step in FINE)])
    best = whole
    for shares in (COARSE, None):
        for _ in range(ROUNDS):
            before = best
            best = search.best([best, *((low, best[1]) for low in _ends(whole[0], best[0], shares))])
            best = search.best([best, *((best[0], high) for high in _ends(whole[1], best[1], shares))])
            if best == before:
                break
    return best


def error(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    tensor_format: TensorFormat,
    grid: tuple[float, int],
) -> float:
    """The weighted sum of squared differences after quantization with `grid` (scale, zero point)."""
    return float(_errors(values, weights, tensor_format, [grid])[0])


class _Search:
    """The candidates' errors on one histogram."""

    def __init__(self, histogram: Histogram, tensor_format: TensorFormat, through: Function | None) -> None:
        self.values, self.weights = histogram.values()
        self.format = tensor_format
        self.through = through

    def best(self, candidates: Sequence[Range]) -> Range:
        """The candidate of the least error; the first of equals, so that wide ranges win ties."""
        grids = [self.format.grid(*ends) for ends in candidates]
        found = _errors(self.values, self.weights, self.format, grids, self.through)
        return candidates[int(np.argmin(found))]


def _errors(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    tensor_format: TensorFormat,
    grids: Sequence[tuple[float, int]],
    through: Function | None = None,
) -> NDArray[np.float64]:
    scales = np.array([scale for scale, _ in grids])[:, None]
    zeros = np.array([float(zero) for _, zero in grids])[:, None]
    steps = np.rint(values / scales)
    np.clip(steps, tensor_format.low - zeros, tensor_format.high - zeros, out=steps)
    steps *= scales
    if through is not None:
        steps, values = through(steps), through(values)
    steps -= values
    np.square(steps, out=steps)
    return np.asarray((steps * weights).sum(axis=1))


def _cut(ends: Range, reach: float) -> Range:
    return max(ends[0], -reach), min(ends[1], reach)


def _ends(whole: float, now: float, shares: tuple[float, ...] | None) -> list[float]:
    """Other places for one end: shares of the whole, or (None) steps around where it is."""
    if whole == 0:
        return []
    if shares is not None:
        return [share * whole for share in shares]
    return [min(max(now / whole + step, 0.0), 1.0) * whole for step in FINE]
