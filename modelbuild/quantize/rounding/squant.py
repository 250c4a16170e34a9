"""SQuant: rounds so that errors cancel within each kernel and within each output channel. Needs no data.

Guo et al., "SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian Approximation" (2022): the
inputs of a channel are alike, and those of all channels have one sign, so that the sum of the errors counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.rounding.moments import Problem, Real

ONE = 1 << 20  # errors are counted in 2^-20 of a step, so that sums are exact
Whole = NDArray[np.int64]


def round_weights(problem: Problem) -> Real:
    """[groups, O, K]. In every kernel, and then in every output channel at the cost of single kernels, the
    sum of the errors ends within half a step, where the limit allows it."""
    steps, taps = problem.steps, problem.taps
    rounded = np.clip(np.rint(steps), problem.lowest, problem.highest)
    error = np.rint((rounded - steps) * ONE).astype(np.int64)
    movable = np.asarray(np.abs(error) <= ONE // 2)  # a clipped weight has no neighbour beyond
    rows = error.reshape(*error.shape[:2], -1, taps)
    free: NDArray[np.bool_] = movable.reshape(rows.shape)
    chosen = _most_useful(rows, free, rows.sum(axis=3))
    rows = rows - np.where(chosen, np.sign(rows) * ONE, 0)
    kernels = rows.sum(axis=3)
    total = kernels.sum(axis=2)
    over = np.sign(total)[:, :, None, None]
    candidate = _largest(np.where(free & (np.sign(rows) == over), np.abs(rows), 0))
    again = _most_useful(kernels, np.asarray(candidate.any(axis=3)), total)
    chosen ^= candidate & again[..., None]  # what the kernel had flipped may be flipped back
    flipped = rounded - np.where(chosen.reshape(steps.shape), np.sign(rounded - steps), 0.0)
    return np.asarray(np.clip(flipped, problem.lowest, problem.highest))


def _most_useful(errors: Whole, free: NDArray[np.bool_], total: Whole) -> NDArray[np.bool_]:
    """Of the last axis, as many of the largest errors of the total's sign as the total has whole steps."""
    wanted = (np.abs(total) + ONE // 2) // ONE
    weight = np.where(free & (np.sign(errors) == np.sign(total)[..., None]), np.abs(errors), 0)
    order = np.argsort(-weight, axis=-1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(errors.shape[-1]), order.shape), axis=-1)
    return np.asarray((rank < wanted[..., None]) & (weight > 0))


def _largest(weight: Whole) -> NDArray[np.bool_]:
    """The first largest of the last axis, where it is above 0."""
    places = np.arange(weight.shape[-1]) == weight.argmax(axis=-1)[..., None]
    return np.asarray(places & (weight > 0))
