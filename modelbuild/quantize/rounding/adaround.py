"""AdaRound: rounds each weight up or down so that the node's outputs, not its weights, change least.

Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (2020): of the two neighbours of
every weight choose those with the least sum over patches of (w x - w^ x^)^2. The problem is the paper's; it is
solved by descent in whole numbers instead of relaxed (docs/design.md, section 7).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.rounding.moments import Problem, Real

UNIT = 256  # differences of weights are counted in 1/256 of a step
SWEEPS = 12  # over all columns, at most


def round_weights(problem: Problem) -> Real:
    """[groups, O, K]. One pass takes the columns with the most power first and lets each make up for those
    before it; then single weights change sides as long as that lessens the error. Needs moments."""
    steps, limit, moments = problem.steps, problem.limit, problem.moments
    assert moments is not None
    low = np.clip(np.floor(steps), -limit, limit)
    high = np.clip(np.floor(steps) + 1.0, -limit, limit)
    slope = moments.drift(steps, UNIT)
    rounded = _first(steps, low, high, slope, moments.square)
    for _ in range(SWEEPS):
        if not _sweep(rounded, low, high, slope, moments.square):
            break
    return rounded


def _first(steps: Real, low: Real, high: Real, slope: Real, square: Real) -> Real:
    """The start. `slope` [groups, O, K], half of the error's derivative, is that of the result after."""
    power = np.einsum("gkk->gk", square)
    rounded = np.empty_like(steps)
    for column in np.argsort(-power.sum(axis=0), kind="stable"):
        wanted = steps[:, :, column] - slope[:, :, column] / (np.maximum(power[:, column], 1.0) * UNIT)[:, None]
        chosen = np.clip(np.rint(wanted), low[:, :, column], high[:, :, column])
        rounded[:, :, column] = chosen
        slope += _whole(chosen - steps[:, :, column])[:, :, None] * square[:, None, column, :]
    return rounded


def _sweep(rounded: Real, low: Real, high: Real, slope: Real, square: Real) -> bool:
    """Whether any weight changed sides."""
    changed = False
    for column in range(square.shape[1]):
        here = rounded[:, :, column]
        step = np.where(here == low[:, :, column], high[:, :, column], low[:, :, column]) - here
        worse = 2.0 * step * slope[:, :, column] + step * step * (square[:, column, column] * UNIT)[:, None]
        groups, outputs = _places(worse < 0.0)
        if len(groups):
            moved = step[groups, outputs]
            rounded[groups, outputs, column] += moved
            slope[groups, outputs] += (moved * UNIT)[:, None] * square[groups, column]
            changed = True
    return changed


def _places(chosen: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    groups, outputs = np.nonzero(chosen)
    return groups, outputs


def _whole(difference: Real) -> Real:
    """In whole units, so that every sum is exact."""
    return np.asarray(np.rint(difference * UNIT))
