"""Search of the range whose grid costs least."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.predict import Grid

# Shares of the end that are tried: first coarse, then around the best.
COARSE = tuple(round(1.0 - 0.02 * step, 4) for step in range(49))
COARSER = COARSE[::2]
FINE = tuple(round(0.0025 * step, 4) for step in range(-8, 9))
ROUNDS = 4

Range = tuple[float, float]
Cost = Callable[[Sequence[Grid]], NDArray[np.float64]]


def cheapest(
    whole: Range, tensor_format: TensorFormat, cost: Cost, coarse: tuple[float, ...] = COARSE
) -> Range:
    """Coordinate descent over (low, high) within `whole`, which holds 0; both ends together where the format
    is symmetric. `coarse`: the shares of the ends that are tried first."""
    search = _Search(tensor_format, cost)
    if tensor_format.symmetric:
        reach = max(-whole[0], whole[1])
        best = search.best([_cut(whole, share * reach) for share in coarse])
        share = max(-best[0], best[1]) / reach if reach else 1.0
        return search.best([best, *(_cut(whole, (share + step) * reach) for step in FINE)])
    best = whole
    for shares in (coarse, None):
        for _ in range(ROUNDS):
            before = best
            best = search.best([best, *((low, best[1]) for low in _ends(whole[0], best[0], shares))])
            best = search.best([best, *((best[0], high) for high in _ends(whole[1], best[1], shares))])
            if best == before:
                break
    return best


class _Search:
    """The costs of what was tried."""

    def __init__(self, tensor_format: TensorFormat, cost: Cost) -> None:
        self._format, self._cost = tensor_format, cost
        self._costs: dict[Grid, float] = {}
        self._grids: dict[Range, Grid] = {}

    def best(self, candidates: Sequence[Range]) -> Range:
        """The cheapest candidate; the first of equals, so that wide ranges win ties."""
        for ends in candidates:
            if ends not in self._grids:
                self._grids[ends] = self._format.grid(*ends)
        grids = [self._grids[ends] for ends in candidates]
        unknown = [grid for grid in dict.fromkeys(grids) if grid not in self._costs]
        if unknown:
            self._costs.update(zip(unknown, self._cost(unknown).tolist(), strict=True))
        return min(zip(candidates, grids, strict=True), key=lambda pair: self._costs[pair[1]])[0]


def _cut(ends: Range, reach: float) -> Range:
    return max(ends[0], -reach), min(ends[1], reach)


def _ends(whole: float, now: float, shares: tuple[float, ...] | None) -> list[float]:
    """Other places for one end: shares of the whole, or (None) steps around where it is."""
    if whole == 0:
        return []
    if shares is not None:
        return [share * whole for share in shares]
    return [min(max(now / whole + step, 0.0), 1.0) * whole for step in FINE]
