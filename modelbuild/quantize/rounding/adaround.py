"""AdaRound: rounds each weight up or down so that the node's outputs, not its weights, change least.

Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (2020): of the two neighbours of
every weight choose those with the least sum over patches of (w x - w^ x^)^2. The problem is the paper's; it
is solved not by relaxation but by successive rounding and descent (docs/design.md, section 7), element by
element, so that every machine finds the same.
"""

from __future__ import annotations

import numpy as np

from modelbuild.quantize.rounding.moments import Problem, Real

UNIT = 256  # differences of weights are counted in 1/256 of a step
SWEEPS = 12  # over all columns, at most
_MOST_DRIFT = 1024.0  # steps that a weight may be moved to make up for errors of the inputs


def round_weights(problem: Problem) -> Real:
    """[groups, O, K]. Columns are rounded one after another, those with the most power first, and each makes
    up for those before it (Babai's nearest plane, as in GPTQ); then single weights change sides as long as
    that lessens the error. Needs moments."""
    steps, moments = problem.steps, problem.moments
    assert moments is not None
    low = np.clip(np.floor(steps), problem.lowest, problem.highest)
    high = np.clip(np.floor(steps) + 1.0, problem.lowest, problem.highest)
    square = moments.square
    drift = moments.drift(steps, UNIT)
    order = np.argsort(np.einsum("gkk->gk", square).sum(axis=0), kind="stable")
    rounded = np.empty_like(steps)
    rounded[:, :, order] = _in_turn(
        square[:, order][:, :, order],
        drift[:, :, order] / UNIT,
        steps[:, :, order],
        low[:, :, order],
        high[:, :, order],
    )
    slope = drift
    for column in range(square.shape[1]):
        moved = np.rint((rounded[:, :, column] - steps[:, :, column]) * UNIT)
        slope += moved[:, :, None] * square[:, None, column, :]
    for _ in range(SWEEPS):
        if not _sweep(rounded, low, high, slope, square):
            break
    return rounded


def _in_turn(square: Real, drift: Real, steps: Real, low: Real, high: Real) -> Real:
    """From the last column to the first. With square = L D L', an error d of the weights costs
    sum over j of D[j] (d[j] + sum over i > j of L[i, j] d[i])^2."""
    lower = _factored(square)
    wanted = steps - np.clip(_solved(lower, drift), -_MOST_DRIFT, _MOST_DRIFT)
    rounded = np.empty_like(steps)
    pull = np.zeros_like(steps)
    for column in range(steps.shape[2] - 1, -1, -1):
        best = np.rint(wanted[:, :, column] - pull[:, :, column])
        rounded[:, :, column] = np.clip(best, low[:, :, column], high[:, :, column])
        error = rounded[:, :, column] - wanted[:, :, column]
        pull[:, :, :column] += error[:, :, None] * lower[:, None, column, :column]
    return rounded


def _factored(square: Real) -> Real:
    """L below the diagonal and D on it, of square = L D L' [groups, K, K].

    What rounding to whole numbers takes from a matrix of little power can leave more beside a pivot than any
    covariance has, which would grow from column to column without end; it is cut to the root of both powers.
    """
    rest = square.copy()
    width = square.shape[1]
    diagonal = np.einsum("gkk->gk", rest)
    diagonal[...] = np.maximum(diagonal, 1.0)  # a column that is always 0
    for column in range(width):
        pivot = np.maximum(diagonal[:, column], 1.0)[:, None]
        diagonal[:, column] = pivot[:, 0]
        most = np.sqrt(pivot * np.maximum(diagonal[:, column + 1 :], 0.0))
        beside = np.clip(rest[:, column + 1 :, column], -most, most)
        below = beside / pivot
        rest[:, column + 1 :, column + 1 :] -= below[:, :, None] * beside[:, None, :]
        rest[:, column + 1 :, column] = below
    return rest


def _solved(lower: Real, values: Real) -> Real:
    """square^-1 values for each row [groups, O, K]; 0 where it leaves the numbers."""
    found = values.copy()
    width = lower.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        for column in range(width):
            found[:, :, column + 1 :] -= found[:, :, column, None] * lower[:, None, column + 1 :, column]
        found /= np.einsum("gkk->gk", lower)[:, None, :]
        for column in range(width - 1, 0, -1):
            found[:, :, :column] -= found[:, :, column, None] * lower[:, None, column, :column]
    return np.where(np.isfinite(found), found, 0.0)


def _sweep(rounded: Real, low: Real, high: Real, slope: Real, square: Real) -> bool:
    """Whether any weight changed sides. `slope` [groups, O, K] is half of the error's derivative, in whole
    numbers."""
    changed = False
    for column in range(square.shape[1]):
        here = rounded[:, :, column]
        step = np.where(here == low[:, :, column], high[:, :, column], low[:, :, column]) - here
        worse = 2.0 * step * slope[:, :, column] + step * step * (square[:, column, column] * UNIT)[:, None]
        groups, outputs = np.nonzero(worse < 0.0)
        if len(groups):
            moved = step[groups, outputs]
            rounded[groups, outputs, column] += moved
            slope[groups, outputs] += (moved * UNIT)[:, None] * square[groups, column]
            changed = True
    return changed
