"""Kernels of `add`, `multiply`, `rescale`, `prelu` and `table`."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.binding import Bound, Kernel
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.requantize import half, rescaled, saturated


def add(bound: Bound) -> Kernel:
    """Both inputs by their multipliers, one rounding."""
    zeros = bound.number("input_zero"), bound.number("other_zero")
    multipliers = bound.number("input_multiplier"), bound.number("other_multiplier")
    shift = bound.number("shift")

    def run(a: Integers, b: Integers) -> Integers:
        left = (a.astype(np.int64) - zeros[0]) * multipliers[0]
        right = (b.astype(np.int64) - zeros[1]) * multipliers[1]
        return rescaled(left + right, 1, shift, bound)

    return run


def multiply(bound: Bound) -> Kernel:
    """The product of two tensors."""
    zeros = bound.number("input_zero"), bound.number("other_zero")
    multiplier, shift = bound.number("multiplier"), bound.number("shift")

    def run(a: Integers, b: Integers) -> Integers:
        product = (a.astype(np.int64) - zeros[0]) * (b.astype(np.int64) - zeros[1])
        return rescaled(product, multiplier, shift, bound)

    return run


def rescale(bound: Bound) -> Kernel:
    """One tensor to another scale."""
    zero, multiplier, shift = bound.number("input_zero"), bound.number("multiplier"), bound.number("shift")

    def run(x: Integers) -> Integers:
        return rescaled(x.astype(np.int64) - zero, multiplier, shift, bound)

    return run


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
    """256 stored answers, looked up by the byte's own bit pattern."""
    entries = bound.constant("table").astype(bound.output.dtype)
    if bound.inputs[0].signed:
        entries = np.roll(entries, 128)  # byte 0x80, the smallest signed value, comes last of the two halves

    def run(x: Integers) -> Integers:
        return entries[np.ascontiguousarray(x).view(np.uint8)]

    return run
