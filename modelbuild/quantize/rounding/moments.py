"""What is known of a weighted node's inputs when its weights are rounded: second moments, as exact integers.

All sums are of whole numbers below 2^53, so that they are the same with any BLAS, CPU and thread count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.in_order import sum_in_order

Real = NDArray[np.float64]

FINE = 16  # errors of inputs are counted in 1/16 of the input's step
MOST_ERROR = 4.0  # steps; an error of more counts as this
PARTS = 256  # of a step, in which differences of weights are counted
MOST_CODE = 256.0  # |code| that products are formed of
MOST_ENTRY = float(1 << 27)  # |entry| of either matrix


@dataclass(frozen=True)
class Moments:
    """Of the columns (input channel, row, column of the kernel) that the outputs of a group multiply.

    `square` [groups, K, K]: sum over patches of z z', where z is what the fixed-point model has there, less
    its mean. `cross` [groups, K, K]: the same of z and FINE * (z - x), where x is what the float model has.
    Both are whole numbers in one unit.
    """

    square: Real
    cross: Real
    unit: float  # of the entries: the mean over patches, in steps^2

    @property
    def power(self) -> Real:
        """[groups, K]."""
        return np.asarray(np.einsum("gkk->gk", self.square))

    def error(self, difference: Real) -> Real:
        """The mean square [groups, O] of what a difference of the weights [groups, O, K] makes."""
        whole = np.rint(difference * PARTS)
        return np.asarray(((whole @ self.square) * whole).sum(axis=2) * (self.unit / PARTS / PARTS))

    def drift(self, steps: Real, unit: int) -> Real:
        """sum over patches of z * (w (z - x)) for weights [groups, O, K], in 1/unit of the steps: how far the
        inputs' own errors have moved the outputs already."""
        largest = max(float(sum_in_order(np.abs(steps)).max(initial=0.0)), 1.0)
        fraction = min(math.ldexp(1.0, math.frexp((1 << 25) / largest)[1] - 1), 1024.0)
        whole = np.rint(steps * fraction) @ np.swapaxes(self.cross, 1, 2)
        return np.asarray(np.rint(whole * (unit / (fraction * FINE))))


@dataclass(frozen=True)
class Patches:
    """`fixed` [n, groups, K]: codes of the fixed-point model less their zero point; `exact`: what the float
    model has there, in the same steps, not rounded."""

    fixed: NDArray[Any]
    exact: Real

    @property
    def error(self) -> Real:
        """fixed - exact. What is clipped, here or before, counts as a few steps: ranges clip rare values on
        purpose, and to make up for them would move all others."""
        return np.asarray(np.clip(self.fixed - self.exact, -MOST_ERROR, MOST_ERROR))

    def columns(self, block: slice) -> Patches:
        """Some of the columns."""
        return Patches(self.fixed[:, :, block], self.exact[:, :, block])


def moments_of(patches: Patches) -> Moments:
    """Means are taken out: biases make up for them.

    What two columns have in common is seen on n patches only; it counts n / (n + K), so that weights are not
    fitted to the patches.
    """
    count, _, width = patches.fixed.shape
    z = patches.fixed.astype(np.float64)
    error = patches.error
    coarse = max(float(np.abs(z).max(initial=0.0)) / MOST_CODE, 1.0)
    columns = np.rint(z / coarse).transpose(1, 2, 0)
    errors = np.rint(error * (FINE / coarse)).transpose(1, 0, 2)
    total = columns.sum(axis=2)
    square = count * (columns @ np.swapaxes(columns, 1, 2)) - total[:, :, None] * total[:, None, :]
    cross = count * (columns @ errors) - total[:, :, None] * errors.sum(axis=1)[:, None, :]
    largest = max(float(np.abs(square).max(initial=0.0)), float(np.abs(cross).max(initial=0.0)))
    divisor = max(float(count), largest / MOST_ENTRY)
    shared = count / (count + width)
    own = np.eye(width, dtype=bool)
    square = np.where(own, square, square * shared)
    unit = divisor * coarse * coarse / count / count
    return Moments(np.rint(square / divisor), np.rint(cross * (shared / divisor)), unit)


@dataclass(frozen=True)
class Problem:
    """Weights in steps [groups, O, K]; of the two neighbours of each, between lowest and highest, one is to
    be chosen. `taps` weights each are one kernel."""

    steps: Real
    lowest: int
    highest: int
    taps: int = 1
    moments: Moments | None = None
