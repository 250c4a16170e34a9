"""The range that changes the distribution least: least Kullback-Leibler divergence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation

IGNORED = 0.002  # share of the bins next to 0 that do not count: they hold what is next to nothing


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """One reach for both signs, as TensorRT has it: |x| in as many bins as the histogram, cut after each
    multiple of the format's levels (half of its codes; all of them where one sign alone occurs and the format
    has a zero point). Formats of more levels than bins keep the whole range."""
    histogram = observation.histogram
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    reach = max(-low, high)
    one_sided = (low == 0.0 or high == 0.0) and not tensor_format.symmetric
    codes = tensor_format.high - tensor_format.low + 1
    if tensor_format.symmetric:
        levels = tensor_format.high + 1
    else:
        levels = codes if one_sided else codes // 2
    sizes = _absolute(histogram, reach)
    sizes[: round(IGNORED * len(sizes))] = 0.0
    cuts = range(levels, len(sizes) + 1, levels)
    if reach == 0.0 or not sizes.any() or len(cuts) < 2:
        return low, high
    best = min(reversed(cuts), key=lambda cut: _divergence(sizes, cut, levels))
    share = reach * best / len(sizes)
    return max(low, -share), min(high, share)


def _absolute(histogram: Histogram, reach: float) -> NDArray[np.float64]:
    """The histogram of |x| over [0, reach], without zeros."""
    values, counts = histogram.values()
    bins = len(histogram.counts)
    index = np.minimum(np.abs(values) * (bins / reach if reach else 0.0), bins - 1).astype(np.int64)
    index, counts = index[values != 0.0], counts[values != 0.0]
    return np.bincount(index, counts, minlength=bins).astype(np.float64)


def _divergence(sizes: NDArray[np.float64], cut: int, levels: int) -> float:
    """KL(P || Q): P is sizes[:cut] with the rest in its last bin, Q is sizes[:cut] merged to `levels` groups,
    each spread evenly over those of its bins that are not empty in P. A group in which nothing was seen
    counts as half a value where P has the rest (Krichevsky and Trofimov)."""
    wanted = sizes[:cut].copy()
    wanted[-1] += sizes[cut:].sum()
    filled = (wanted > 0.0).reshape(levels, -1)
    groups = np.maximum(sizes[:cut].reshape(levels, -1).sum(axis=1), 0.5)
    found = (filled * (groups / np.maximum(filled.sum(axis=1), 1))[:, None]).reshape(-1)
    here = wanted > 0.0
    wanted, found = wanted[here] / wanted.sum(), found[here] / found[here].sum()
    return float((wanted * np.log(wanted / found)).sum())
