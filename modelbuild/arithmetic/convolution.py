"""Kernels of `conv`, `gemm` and `matmul`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from modelbuild.arithmetic.binding import Bound, Kernel, magnitude
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.products import SINGLE, ExactProduct, exact_matmul
from modelbuild.arithmetic.requantize import PIECE, RowRequantizer, rescaled
from modelbuild.arithmetic.windows import Window, window_of

Real = NDArray[Any]


def conv(bound: Bound) -> Kernel:
    """Depthwise by shifted multiply-adds, everything else by im2col and one product a group."""
    weight = bound.constant("weight")
    window = window_of(bound, weight.shape[2:])
    requantize = RowRequantizer(bound)
    accumulate: _Depthwise | _Columns
    if weight.shape[1] == 1 and bound.number("group") > 1:
        accumulate = _Depthwise(bound, weight, window)
    else:
        accumulate = _Columns(bound, weight, window)
    shape, dtype = bound.output.shape, bound.output.dtype

    def run(x: Integers) -> Integers:
        out = np.empty((shape[0], shape[1], shape[2] * shape[3]), dtype=dtype)
        for sample in range(shape[0]):
            requantize(accumulate(x[sample]), out[sample])
        return out.reshape(shape)

    return run


class _Columns:
    """Accumulators [O, P] of one sample by im2col."""

    def __init__(self, bound: Bound, weight: Integers, window: Window) -> None:
        self.groups = bound.number("group")
        self.zero = bound.number("input_zero")
        self.window = window
        outputs = weight.shape[0]
        rows = weight.reshape(self.groups, outputs // self.groups, -1)
        self.product = ExactProduct(rows, magnitude(bound.inputs[0], self.zero))
        self.outputs = outputs

    def __call__(self, x: Integers) -> Real:
        picture = self.window.padded(_centred(x, self.zero, self.product.dtype))
        if self.window.is_pointwise:
            columns = picture
        else:
            columns = np.empty((picture.shape[0], *self.window.kernel, *self.window.out), self.product.dtype)
            for (i, j), tap in self.window.taps(picture):
                columns[:, i, j] = tap
        places = self.window.out[0] * self.window.out[1]
        accumulators = self.product(columns.reshape(self.groups, -1, places))
        return accumulators.reshape(self.outputs, places)


class _Depthwise:
    """Accumulators [O, P] of one sample where every group has one input channel."""

    def __init__(self, bound: Bound, weight: Integers, window: Window) -> None:
        self.zero = bound.number("input_zero")
        self.window = window
        reach = int(np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3)).max())
        exact = reach * magnitude(bound.inputs[0], self.zero) < SINGLE
        self.dtype: DTypeLike = np.float32 if exact else np.float64
        self.weight = weight.reshape(bound.number("group"), -1, *weight.shape[2:], 1, 1).astype(self.dtype)

    def __call__(self, x: Integers) -> Real:
        channels, copies = self.weight.shape[:2]
        total = np.empty((channels, copies, *self.window.out), dtype=self.dtype)
        many = max(1, PIECE // (self.window.out[0] * self.window.out[1] * copies))
        for start in range(0, channels, many):
            span = slice(start, start + many)
            picture = self.window.padded(_centred(x[span], self.zero, self.dtype))
            piece = total[span]
            piece[...] = 0
            for (i, j), tap in self.window.taps(picture):
                piece += tap[:, None] * self.weight[span, :, i, j]
        return total.reshape(channels * copies, -1)


def _centred(x: Integers, zero: int, dtype: DTypeLike) -> Real:
    real: Real = x.astype(dtype)
    if zero:
        real -= zero
    return real


def gemm(bound: Bound) -> Kernel:
    """x [N, K] times weight [O, K] transposed."""
    zero = bound.number("input_zero")
    product = ExactProduct(bound.constant("weight")[None], magnitude(bound.inputs[0], zero))
    requantize = RowRequantizer(bound)
    shape, dtype = bound.output.shape, bound.output.dtype

    def run(x: Integers) -> Integers:
        out = np.empty(shape[::-1], dtype=dtype)
        requantize(product(_centred(x, zero, product.dtype).T[None])[0], out)
        return np.ascontiguousarray(out.T)

    return run


def matmul(bound: Bound) -> Kernel:
    """Two activations; leading axes broadcast."""
    zeros = bound.number("input_zero"), bound.number("other_zero")
    largest = magnitude(bound.inputs[0], zeros[0]) * magnitude(bound.inputs[1], zeros[1])
    multiplier, shift = bound.number("multiplier"), bound.number("shift")

    def run(a: Integers, b: Integers) -> Integers:
        return rescaled(exact_matmul(a, b, zeros, largest), multiplier, shift, bound)

    return run
