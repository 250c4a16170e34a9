"""The record's lines of weights, and the ranges of these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.kept_quantization import Kept
from modelbuild.quantize.number_format import Formats
from modelbuild.quantize.predict import decibels
from modelbuild.quantize.record import TensorRecord
from modelbuild.quantize.rounding_settings import LEAST_SQUARES, OBSERVED
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.source_quantization import METHOD, scales_of
from modelbuild.quantize.weight_ranges import least_squared_error
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import code_range, other_neighbour


def rounding(
    found: Weighted, scales: NDArray[np.float64], bits: int, flips: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """[O, ...]: quantized less exact weights, of `scales` [O]; `flips` as in `quantize_weights`. (The lowest
    code is left to those that the source has quantized.)"""
    column = scales.reshape(-1, *([1] * (found.weight.ndim - 1)))
    exact = found.weight.astype(np.float64)
    steps = np.rint(exact / column)
    if flips is not None:
        steps = np.where(flips, other_neighbour(exact / column), steps)
    return np.asarray(np.clip(steps, *code_range(bits, True)) * column - exact)


def clip(entry: Kept | None, found: Weighted, formats: Formats, settings: Settings) -> tuple[int, ...] | None:
    """The range of weights, where it is not to be the largest |w| or the source's."""
    if settings.weights_range != LEAST_SQUARES or scales_of(entry, found, formats)[1]:
        return None
    return least_squared_error(found, formats)


def weight_line(
    found: Weighted,
    formats: Formats,
    entry: Kept | None,
    settings: Settings,
    noise: Sequence[float | None],
    flips: NDArray[np.bool_] | None = None,
) -> TensorRecord:
    """The line of a constant. `noise` at the outputs, of each node that multiplies by it; `flips`: of the
    last of these, where they are rounded by what was observed."""
    bits = formats.weight_bits
    clipped = clip(entry, found, formats, settings)
    scales, own = scales_of(entry, found, formats, clipped)
    exact = found.weight.astype(np.float64)
    ratio = decibels(
        float(np.square(exact).sum()), float(np.square(rounding(found, scales, bits, flips)).sum())
    )
    predicted = None if None in noise else decibels(1.0, sum(part for part in noise if part is not None))
    one = not formats.per_channel or (entry is not None and own and len(entry.scale) == 1)
    scale = float(scales[0]) if one else None
    ends = float(exact.min(initial=0.0)), float(exact.max(initial=0.0))
    method = METHOD if own else "minmax" if clipped is None else "mse"
    method = method if flips is None else OBSERVED
    return TensorRecord(found.name, "weight", bits, True, scale, 0, *ends, method, ratio, predicted)
