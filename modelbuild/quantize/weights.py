"""Weights and biases -> integers, with element-wise IEEE operations only: the same bits on any machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.quantize.number_format import SMALLEST_RANGE, express
from modelbuild.quantize.rounding_settings import FEW_BITS

CLIP_ONE = 128  # corrections give weight ranges in 1/128 of the largest absolute value
BIAS_LIMIT = {8: float(1 << 30), 16: float(1 << 46)}  # half of what an accumulator may reach


@dataclass(frozen=True)
class QuantizedWeights:
    """`integers` [O, ...], one `scales` entry an output channel, `bias` [O] in steps of scale_x * scale_w."""

    integers: Integers
    scales: NDArray[np.float64]
    bias: Integers


def code_range(bits: int, whole_range: bool = False) -> tuple[int, int]:
    """The lowest and highest code of weights. Symmetric ones do without the lowest that their type has, but
    for those of few bits, where a clipped range may use it, and where `whole_range` allows it."""
    highest = (1 << (bits - 1)) - 1
    return -highest - (whole_range or bits <= FEW_BITS), highest


def weight_scales(
    weight: NDArray[Any],
    bits: int,
    per_channel: bool,
    form: str,
    clip: tuple[int, ...] | None = None,
) -> NDArray[np.float64]:
    """Symmetric: the largest |w| of a channel (or of all) is 2^(bits-1) - 1 steps."""
    rows = np.abs(weight.reshape(weight.shape[0], -1).astype(np.float64))
    largest = rows.max(axis=1) if rows.size else np.zeros(weight.shape[0])
    if clip is not None:
        largest = largest * np.asarray(clip, np.float64) / CLIP_ONE
    overall = float(largest.max(initial=0.0))
    if not per_channel:
        largest = np.full_like(largest, overall)
    fallback = overall if overall >= SMALLEST_RANGE else 1.0  # dead channels
    largest = np.where(largest < SMALLEST_RANGE, fallback, largest)
    return _expressed(largest / ((1 << (bits - 1)) - 1), form)


def quantize_weights(
    weight: NDArray[Any],
    bias: NDArray[Any],
    input_scale: float,
    scales: NDArray[np.float64],
    bits: int,
    operand_bits: int,
    form: str,
    correction: tuple[int, ...] | None = None,
    whole_range: bool = False,
    flips: NDArray[np.bool_] | None = None,
) -> QuantizedWeights:
    """Integers of weight [O, ...] and bias [O]; a scale grows where the bias would not fit otherwise.

    `whole_range` allows the lowest code, too, which symmetric weights do without. `flips` [O, ...]: the
    weights that are rounded to the other neighbour, not to the nearest.
    """
    wide = bias.astype(np.float64)
    least = np.abs(wide) / (input_scale * BIAS_LIMIT[operand_bits])
    scales = np.where(scales < least, _expressed(np.maximum(least, np.finfo(np.float64).tiny), form), scales)
    column = scales.reshape(-1, *([1] * (weight.ndim - 1)))
    exact = weight.astype(np.float64) / column
    steps = np.rint(exact)
    if flips is not None:
        steps = np.where(flips, other_neighbour(exact), steps)
    steps = np.clip(steps, *code_range(bits, whole_range))
    integers: Integers = steps.astype(np.int8) if bits <= 8 else steps.astype(np.int16)
    shifted = np.rint(wide / (input_scale * scales)) + np.asarray(correction or 0, np.float64)
    limit = int(BIAS_LIMIT[operand_bits])
    whole = np.clip(shifted, -limit, limit)
    biases: Integers = whole.astype(np.int32) if operand_bits == 8 else whole.astype(np.int64)
    return QuantizedWeights(integers, scales, biases)


def other_neighbour(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The whole number on the other side of each of `steps` than the nearest one; above a whole one."""
    nearest = np.rint(steps)
    return np.asarray(nearest + np.where(steps < nearest, -1.0, 1.0))


def pack_flips(flips: NDArray[np.bool_]) -> tuple[int, ...]:
    """[O, ...] -> channel, bits, channel, bits ...: bit k of a channel is its k-th weight, row-major;
    channels without a bit are left out."""
    rows = np.packbits(flips.reshape(len(flips), -1), axis=1, bitorder="little")
    pairs = ((index, int.from_bytes(row.tobytes(), "little")) for index, row in enumerate(rows))
    return tuple(number for index, bits in pairs if bits for number in (index, bits))


def unpack_flips(packed: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The inverse of `pack_flips`. Raises ValueError where a channel or a bit is not of such weights."""
    count = math.prod(shape[1:])
    rows = np.zeros((shape[0], -(-count // 8)), np.uint8)
    for channel, bits in zip(packed[::2], packed[1::2], strict=True):
        if not 0 <= channel < shape[0] or bits < 0 or bits.bit_length() > count:
            raise ValueError(f"channel {channel} is not one of {shape[0]} with {count} weights each")
        rows[channel] = np.frombuffer(bits.to_bytes(rows.shape[1], "little"), np.uint8)
    return np.unpackbits(rows, axis=1, count=count, bitorder="little").astype(np.bool_).reshape(shape)


def _expressed(scales: NDArray[np.float64], form: str) -> NDArray[np.float64]:
    """Weights know free scales and powers of two; a radix's mantissa belongs to activations."""
    if form != "power_of_two":
        return scales
    return np.array([express(float(scale), form) for scale in scales])
