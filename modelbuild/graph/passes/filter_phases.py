"""The matrix of a picture's filter as a convolution: the same few numbers again, period by period."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
MOST = 16  # columns of a period: with more the window is mostly zeros
LEAST = 4  # cells of a window: narrower ones would be layers of an NPU, which rounds their numbers
_SAME = 2e-6  # of numbers that differ in their rounding alone


@dataclass(frozen=True)
class Phases:
    """Column `t * len(weights) + f` of the matrix is `factors` there times `weights[f]`, from row
    `t * step - before` on; what would lie outside of the matrix is left out. `after`: rows that the last
    window needs behind the matrix."""

    step: int
    weights: Floats  # [columns of a period, cells of a window]
    before: int
    after: int
    factors: Floats  # [columns]; 1 where no window is cut


def phases(matrix: NDArray[Any]) -> Phases | None:
    """None for a matrix that is none of a filter, or not worth it."""
    size, columns = matrix.shape
    periods = math.gcd(size, columns)
    step, count = size // periods, columns // periods
    if count > MOST or periods < 2:
        return None
    middle = periods // 2
    spans = [np.flatnonzero(matrix[:, middle * count + phase]) for phase in range(count)]
    if any(not len(span) for span in spans):
        return None
    first = min(0, *(int(span[0]) - middle * step for span in spans))
    width = max(LEAST, max(int(span[-1]) + 1 - middle * step for span in spans) - first)
    weights = np.zeros((count, width), np.float32)
    for phase in range(count):
        rows = np.arange(width) + middle * step + first
        there = (rows >= 0) & (rows < size)
        weights[phase, there] = matrix[rows[there], middle * count + phase]
    after = max(0, (periods - 1) * step + first + width - size)
    factors = _factors(matrix, Phases(step, weights, -first, after, np.ones(columns, np.float32)))
    return None if factors is None else Phases(step, weights, -first, after, factors)


def _factors(matrix: NDArray[Any], found: Phases) -> Floats | None:
    """What each column is of its window, as far as that lies within; None where one is anything else."""
    count, width = found.weights.shape
    factors = np.ones(matrix.shape[1], np.float32)
    for column in range(matrix.shape[1]):
        period, phase = divmod(column, count)
        rows = np.arange(width) + period * found.step - found.before
        there = (rows >= 0) & (rows < len(matrix))
        window = np.zeros(len(matrix))
        window[rows[there]] = found.weights[phase, there]
        total = window.sum()
        if not total:
            return None
        whole = bool(np.isclose(found.weights[phase, there].sum(), found.weights[phase].sum(), atol=_SAME))
        factor = 1.0 if whole else float(matrix[:, column].sum() / total)
        if np.abs(matrix[:, column] - factor * window).max() > _SAME:
            return None
        factors[column] = factor
    return factors
