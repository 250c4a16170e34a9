"""Between real numbers and integers: multipliers with shifts, and the tensors at a model's borders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.errors import EXIT_FAILED, ModelbuildError

LARGEST_SHIFT = 62


def multiplier_limit(operand_bits: int) -> int:
    """|M| stays below this: 2^31 for 8-bit operands, 2^15 for 16-bit ones (docs/arithmetic.md)."""
    return 1 << (31 if operand_bits <= 8 else 15)


def accumulator_limit(operand_bits: int) -> int:
    """|accumulator| stays below this: 2^31 for 8-bit operands, 2^47 for 16-bit ones."""
    return 1 << (31 if operand_bits <= 8 else 47)


def decompose(factor: float, operand_bits: int = 8) -> tuple[int, int]:
    """The multiplier and shift (M, s) with factor = M / 2^s, as docs/arithmetic.md prescribes it."""
    (multiplier,), shift = decompose_together((factor,), operand_bits)
    return multiplier, shift


def decompose_each(
    factors: NDArray[np.float64], operand_bits: int = 8
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The multipliers and shifts of many factors [n], each as `decompose` has it."""
    limit = multiplier_limit(operand_bits)
    for factor in factors[~(np.abs(factors) <= limit - 1)][:1].tolist():
        decompose(factor, operand_bits)  # raises
    _, exponents = np.frexp(factors)
    shifts = np.minimum(LARGEST_SHIFT, limit.bit_length() - 1 - exponents.astype(np.int64))
    shifts -= np.abs(np.rint(np.ldexp(factors, shifts))) >= limit  # rounded up to the limit
    multipliers = np.rint(np.ldexp(factors, shifts)).astype(np.int64)
    _, lowest = np.frexp((multipliers & -multipliers).astype(np.float64))
    spare = np.minimum(np.where(multipliers == 0, shifts, lowest - 1), shifts)
    return multipliers >> spare, shifts - spare


def decompose_together(factors: Sequence[float], operand_bits: int = 8) -> tuple[tuple[int, ...], int]:
    """Multipliers that share the largest shift at which all of them stay below the limit."""
    limit = multiplier_limit(operand_bits)
    for factor in factors:
        if not math.isfinite(factor) or abs(factor) > limit - 1:
            raise ModelbuildError(
                f"the scale ratio {factor!r} does not fit a {limit.bit_length() - 1}-bit multiplier",
                why="the scales on the two sides of an operator are too far apart",
                exit_code=EXIT_FAILED,
            )
    exponent = max(math.frexp(factor)[1] for factor in factors)
    shift = min(LARGEST_SHIFT, limit.bit_length() - 1 - exponent)
    multipliers = [round(math.ldexp(factor, shift)) for factor in factors]
    if any(abs(multiplier) >= limit for multiplier in multipliers):  # rounded up to the limit
        shift -= 1
        multipliers = [round(math.ldexp(factor, shift)) for factor in factors]
    while shift > 0 and all(multiplier % 2 == 0 for multiplier in multipliers):
        multipliers = [multiplier // 2 for multiplier in multipliers]
        shift -= 1
    return tuple(multipliers), shift


def quantize_array(real: NDArray[Any], tensor: QuantizedTensor) -> NDArray[Any]:
    """Real numbers -> the tensor's integers: round half to even, saturate. NaN is an error. A floating tensor
    takes them as they are."""
    if tensor.floating:
        return real.astype(np.float32)
    if np.isnan(real).any():
        raise ModelbuildError(f"the values for {tensor.name!r} contain NaN")
    steps = np.rint(real.astype(np.float64) / tensor.scale) + tensor.zero_point
    return np.asarray(np.clip(steps, tensor.low, tensor.high), dtype=tensor.dtype)


def dequantize_array(integers: NDArray[Any], tensor: QuantizedTensor) -> NDArray[np.float32]:
    """The tensor's integers -> real numbers, scale * (integer - zero_point); floats as they are."""
    if tensor.floating:
        return integers.astype(np.float32)
    return ((integers.astype(np.float64) - tensor.zero_point) * tensor.scale).astype(np.float32)
