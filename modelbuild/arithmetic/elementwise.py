"""Kernels of `add`, `multiply`, `rescale`, `prelu`, `table` and `curve`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from modelbuild.arithmetic.binding import Bound, Kernel, magnitude
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.operator_shapes import CURVE_SHIFT
from modelbuild.arithmetic.products import SINGLE
from modelbuild.arithmetic.requantize import PIECE, Requantizer, half, one_scaling, rescaled, saturated
from modelbuild.arithmetic.tables import looked_up, tabulated

Combine = Callable[[Integers, Integers], NDArray[Any]]


def add(bound: Bound) -> Kernel:
    """Both inputs by their multipliers, one rounding. The products stay below 2^48: exact in float64."""
    multipliers = bound.number("input_multiplier"), bound.number("other_multiplier")
    bias = -multipliers[0] * bound.number("input_zero") - multipliers[1] * bound.number("other_zero")
    reach = [abs(m) * magnitude(x, 0) for m, x in zip(multipliers, bound.inputs, strict=True)]
    requantize = Requantizer(bound, one_scaling(1, bound.number("shift"), bias, sum(reach)))
    first, second = (np.float64(value) for value in multipliers)

    def combine(a: Integers, b: Integers) -> NDArray[Any]:
        total = a.astype(np.float64)
        total *= first
        other = b.astype(np.float64)
        other *= second
        total += other
        return total

    return _by_pieces(bound, combine, requantize)


def multiply(bound: Bound) -> Kernel:
    """The product of two tensors."""
    zeros = bound.number("input_zero"), bound.number("other_zero")
    largest = magnitude(bound.inputs[0], zeros[0]) * magnitude(bound.inputs[1], zeros[1])
    scaling = one_scaling(bound.number("multiplier"), bound.number("shift"), 0, largest)
    dtype: DTypeLike = np.float32 if largest < SINGLE else np.float64

    def combine(a: Integers, b: Integers) -> NDArray[Any]:
        product: NDArray[Any] = a.astype(dtype)
        product -= zeros[0]
        other = b.astype(dtype)
        other -= zeros[1]
        product *= other
        return product

    return _by_pieces(bound, combine, Requantizer(bound, scaling))


def _by_pieces(bound: Bound, combine: Combine, requantize: Requantizer) -> Kernel:
    """Two tensors broadcast to the output, combined and requantized piece by piece."""
    shape, dtype = bound.output.shape, bound.output.dtype

    def run(a: Integers, b: Integers) -> Integers:
        left, right = (np.ascontiguousarray(np.broadcast_to(x, shape)).reshape(-1) for x in (a, b))
        out = np.empty(left.size, dtype)
        for start in range(0, out.size, PIECE):
            piece = slice(start, start + PIECE)
            requantize(combine(left[piece], right[piece])[None, None], out[None, None, piece])
        return out.reshape(shape)

    return run


def rescale(bound: Bound) -> Kernel:
    """One tensor to another scale."""
    zero, multiplier, shift = bound.number("input_zero"), bound.number("multiplier"), bound.number("shift")

    def answer(x: Integers) -> Integers:
        return rescaled(x.astype(np.int64) - zero, multiplier, shift, bound)

    return tabulated(answer, bound.inputs[0])


def prelu(bound: Bound) -> Kernel:
    """One multiplier for v >= 0, one a channel for v < 0."""
    zero = bound.number("input_zero")
    multiplier, shift = np.int64(bound.number("multiplier")), np.int64(bound.number("shift"))
    shape = (-1,) + (1,) * (len(bound.output.shape) - 2)
    negative_multiplier = bound.constant("negative_multiplier").astype(np.int64).reshape(shape)
    negative_shift = bound.constant("negative_shift").astype(np.int64).reshape(shape)

    def run(x: Integers) -> Integers:
        v = x.astype(np.int64) - zero
        positive = v >= 0
        shifts = np.where(positive, shift, negative_shift)
        scaled = v * np.where(positive, multiplier, negative_multiplier) + half(shifts)
        return saturated(scaled >> shifts, bound)

    return run


def table(bound: Bound) -> Kernel:
    """256 stored answers."""
    return looked_up(bound.constant("table").astype(bound.output.dtype), bound.inputs[0])


def curve(bound: Bound) -> Kernel:
    """Parabolas, worked out once for all 65,536 integers of 16 bits."""
    x, bits = bound.inputs[0], bound.number("segment_bits")
    steps = np.arange(x.low, x.high + 1, dtype=np.int64) - bound.number("start")
    segment, within = steps >> bits, steps & ((1 << bits) - 1)
    value, slope, bend = (
        bound.constant(role).astype(np.int64)[segment] for role in ("value", "slope", "bend")
    )
    half_segment = 1 << (bits - 1)
    slope += (bend * within + half_segment) >> bits
    value += (slope * within + half_segment) >> bits
    return looked_up(rescaled(value, 1, CURVE_SHIFT, bound), x)
