"""The range of weights that does the least squared error: rounding the many finer may be worth clipping the
few largest. Element-wise IEEE operations and sums of whole numbers: the same choice on any machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.number_format import SMALLEST_RANGE, Formats
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import CLIP_ONE, code_range, weight_scales

CANDIDATES = tuple(range(CLIP_ONE, CLIP_ONE // 4 - 1, -3))  # in 1/128 of the largest |w|, the widest first
OF_POWERS = (CLIP_ONE, CLIP_ONE // 2, CLIP_ONE // 4)  # all others give the scale of one of these
_FINE = float(1 << 16)  # steps in the largest |w| that errors are counted in: their squares are added exactly


def least_squared_error(found: Weighted, formats: Formats) -> tuple[int, ...] | None:
    """The range [O] in 1/128 of the largest |w|, of each channel or, with one scale, of all; None where the
    largest is the best everywhere."""
    weight = found.weight.astype(np.float64)
    rows = weight.reshape(len(weight), -1)
    largest = float(np.abs(rows).max(initial=0.0))
    if largest < SMALLEST_RANGE or not np.isfinite(largest):
        return None
    form = formats.activation.form
    candidates = OF_POWERS if form == "power_of_two" else CANDIDATES
    unit = (
        np.abs(rows).max(axis=1, keepdims=True) if formats.per_channel else np.full((len(rows), 1), largest)
    )
    unit = np.maximum(unit, SMALLEST_RANGE) / _FINE
    errors = np.stack([_error(rows, found, formats, clip, unit) for clip in candidates])
    if not formats.per_channel:
        errors = np.broadcast_to(errors.sum(axis=1, keepdims=True), errors.shape)
    best = [candidates[index] for index in np.argmin(errors, axis=0)]
    return None if all(clip == CLIP_ONE for clip in best) else tuple(best)


def _error(
    rows: NDArray[np.float64], found: Weighted, formats: Formats, clip: int, unit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared, of each channel, in `unit`s."""
    bits, form = formats.weight_bits, formats.activation.form
    clips = (clip,) * len(rows)
    scales = weight_scales(found.weight, bits, formats.per_channel, form, clips)[:, None]
    rest = np.clip(np.rint(rows / scales), *code_range(bits)) * scales - rows
    return np.asarray(np.square(np.rint(rest / unit)).sum(axis=1))
