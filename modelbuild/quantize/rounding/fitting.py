"""The weights of one node, rounded: from moments of its inputs to flips, and what they leave of the error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.in_order import sum_in_order
from modelbuild.quantize.rounding import METHODS
from modelbuild.quantize.rounding.moments import Moments, Patches, Problem, Real, moments_of
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import CLIP_ONE, code_range

MOST_COLUMNS = 1024  # that are rounded together: their moments are a square matrix
CLIPS = range(CLIP_ONE, CLIP_ONE // 2 - 1, -6)  # ranges that are tried, in 1/128 of the largest |w|


def moments_in_blocks(patches: Patches) -> list[Moments]:
    """`moments_of` columns in runs of equal length; what columns of two runs have in common is lost."""
    return [moments_of(patches.columns(block)) for block in _blocks(patches.fixed.shape[2])]


def flips_of(
    found: Weighted, scales: Real, bits: int, method: str, moments: Sequence[Moments]
) -> NDArray[np.bool_]:
    """The weights [O, ...] that are not rounded to the nearest. No moments: the method needs none."""
    steps = steps_of(found, scales)
    ends = code_range(bits)
    taps = math.prod(found.weight.shape[2:])
    if not METHODS[method].needs_moments:
        rounded = METHODS[method].round(Problem(steps, *ends, taps))
    else:
        parts = zip(_blocks(steps.shape[2]), moments, strict=True)
        rounded = np.concatenate(
            [METHODS[method].round(Problem(steps[:, :, block], *ends, taps, one)) for block, one in parts],
            axis=2,
        )
    nearest = np.clip(np.rint(steps), *ends)
    return np.asarray((rounded != nearest).reshape(found.weight.shape))


def error_of(
    found: Weighted, scales: Real, integers: NDArray[np.integer], moments: Sequence[Moments]
) -> Real:
    """The mean square error [O] of the outputs, their mean taken out, in (steps of the inputs)^2."""
    steps = steps_of(found, scales)
    difference = integers.reshape(steps.shape) - steps
    parts = zip(_blocks(steps.shape[2]), moments, strict=True)
    squares = [one.error(difference[:, :, block]) for block, one in parts]
    return np.asarray(np.sum(squares, axis=0).reshape(-1) * np.square(scales))


def clip_of(found: Weighted, bits: int, moments: Sequence[Moments]) -> tuple[int, ...]:
    """The range [O] of the weights, in 1/128 of the largest: that whose rounding and clipping would
    do the least error if inputs had nothing in common."""
    weight = found.weight.reshape(found.group, -1, math.prod(found.weight.shape[1:])).astype(np.float64)
    power = np.concatenate([one.power for one in moments], axis=1)[:, None, :]
    ends = code_range(bits)
    largest = np.maximum(np.abs(weight).max(axis=2, keepdims=True), np.finfo(np.float64).tiny)
    errors = []
    for clip in CLIPS:
        scale = largest * (clip / CLIP_ONE / ends[1])
        rest = weight - np.clip(np.rint(weight / scale), *ends) * scale
        errors.append(sum_in_order(rest * rest * power).reshape(-1))
    best = np.argmin(np.stack(errors), axis=0)
    return tuple(CLIPS[int(index)] for index in best)


def steps_of(found: Weighted, scales: Real) -> Real:
    """The weights [groups, O, K] in steps."""
    column = scales.reshape(-1, *([1] * (found.weight.ndim - 1)))
    exact = found.weight.astype(np.float64) / column
    return np.asarray(exact.reshape(found.group, -1, math.prod(found.weight.shape[1:])))


def _blocks(width: int) -> list[slice]:
    parts = -(-width // MOST_COLUMNS)
    ends = [index * width // parts for index in range(parts + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]
