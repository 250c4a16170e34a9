"""Kernels of `conv`, `gemm` and `matmul`.

The zero point is not taken from x but from the bias, `Σ w·(x − z) = Σ w·x − z·Σ w`, and padding is z.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from modelbuild.arithmetic.binding import Bound, Kernel, magnitude
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.products import ExactProduct, exact_matmul, exact_type
from modelbuild.arithmetic.requantize import Requantizer, one_scaling, row_scaling
from modelbuild.arithmetic.windows import Planes, window_of

MATRIX = 1 << 18  # elements of the larger matrix that a product reads or makes
LEAST_BLOCK = 256  # places; below this a product is slow
LINE = 1 << 17  # cells of a block of planes
Real = NDArray[Any]
Accumulate = Callable[[Integers, Integers], None]  # one picture [C, H, W] to its output [O, H', W']


def conv(bound: Bound) -> Kernel:
    """Pointwise as one product, depthwise by multiply-adds of shifted planes, everything else by im2col."""
    weight = bound.constant("weight")
    requantize = _requantizer(bound, weight)
    depthwise = weight.shape[1] == 1 and bound.number("group") > 1
    window = window_of(bound, weight.shape[2:])
    one: Accumulate
    if depthwise:
        one = _Depthwise(bound, requantize)
    elif window.is_pointwise:
        one = _Pointwise(bound, requantize)
    else:
        one = _Columns(bound, requantize)
    shape, dtype = bound.output.shape, bound.output.dtype

    def run(x: Integers) -> Integers:
        out = np.empty(shape, dtype=dtype)
        for sample in range(shape[0]):
            one(x[sample], out[sample])
        return out

    return run


def _requantizer(bound: Bound, weight: Integers) -> Requantizer:
    """From sums of w·x, the zero point not yet taken off."""
    rows = weight.astype(np.int64).reshape(len(weight), -1)
    bias = bound.constant("bias").astype(np.int64) - bound.number("input_zero") * rows.sum(axis=1)
    largest = int(np.abs(rows).sum(axis=1).max()) * magnitude(bound.inputs[0], 0)
    return Requantizer(bound, row_scaling(bound, bias, largest))


def _product(bound: Bound, weight: Integers, groups: int) -> ExactProduct:
    rows = weight.reshape(groups, weight.shape[0] // groups, -1)
    return ExactProduct(rows, magnitude(bound.inputs[0], 0))


class _Pointwise:
    """One product over blocks of places."""

    def __init__(self, bound: Bound, requantize: Requantizer) -> None:
        self.requantize = requantize
        self.product = _product(bound, bound.constant("weight"), bound.number("group"))
        self.block = max(LEAST_BLOCK, MATRIX // max(bound.inputs[0].shape[1], bound.output.shape[1]))

    def __call__(self, x: Integers, out: Integers) -> None:
        groups, _, depth = self.product.weight.shape
        flat, made = x.reshape(groups, depth, -1), out.reshape(len(out), 1, -1)
        for start in range(0, flat.shape[2], self.block):
            places = slice(start, start + self.block)
            sums = self.product(flat[:, :, places].astype(self.product.dtype))
            self.requantize(sums.reshape(len(out), 1, -1), made[:, :, places])


class _Columns:
    """im2col over strips of rows, one product a group."""

    def __init__(self, bound: Bound, requantize: Requantizer) -> None:
        weight = bound.constant("weight")
        self.requantize = requantize
        self.product = _product(bound, weight, bound.number("group"))
        self.planes = Planes(window_of(bound, weight.shape[2:]), bound.inputs[0].shape[2:])
        self.zero = bound.number("input_zero")
        groups, _, depth = self.product.weight.shape
        self.strip = max(1, MATRIX // (max(groups * depth, len(weight)) * bound.output.shape[3]))

    def __call__(self, x: Integers, out: Integers) -> None:
        groups, _, depth = self.product.weight.shape
        for start in range(0, out.shape[1], self.strip):
            rows = slice(start, min(start + self.strip, out.shape[1]))
            columns = self._columns(x, rows)
            sums = self.product(columns.reshape(groups, depth, -1))
            self.requantize(sums.reshape(out[:, rows].shape), out[:, rows])

    def _columns(self, x: Integers, rows: slice) -> Real:
        """[C, kh, kw, rows, W'] of the windows' cells."""
        count, width = rows.stop - rows.start, self.planes.window.out[1]
        empty = np.empty(self.planes.shape(len(x), count), self.product.dtype)
        planes = self.planes.load(x, rows.start, self.zero, empty)
        columns = np.empty((len(x), *self.planes.window.kernel, count, width), self.product.dtype)
        for i, down in enumerate(self.planes.rows.taps):
            for j, along in enumerate(self.planes.columns.taps):
                cells = planes[down.plane, along.plane, :, down.place : down.place + count]
                columns[:, i, j] = cells[..., along.place : along.place + width]
        return columns


class _Depthwise:
    """Every group has one input channel: multiply-adds over whole planes, all channels of a block in a line.

    What a tap meets is the line from another place on. So sums at the ends of rows and channels are made of
    cells that do not belong together; nobody reads those.
    """

    def __init__(self, bound: Bound, requantize: Requantizer) -> None:
        weight = bound.constant("weight")
        self.requantize = requantize
        planes = self.planes = Planes(window_of(bound, weight.shape[2:]), bound.inputs[0].shape[2:])
        self.zero = bound.number("input_zero")
        self.dtype: DTypeLike = exact_type(weight, magnitude(bound.inputs[0], 0))
        self.taps = planes.flat_taps()
        self.weight = weight.reshape(bound.number("group"), -1, len(self.taps), 1).astype(self.dtype)

    def __call__(self, x: Integers, out: Integers) -> None:
        copies = self.weight.shape[1]
        tail = max(place for _, place in self.taps)
        for channels, rows in self.planes.blocks(len(x), LINE):
            count = rows.stop - rows.start
            shape = self.planes.shape(channels.stop - channels.start, count)
            line = np.zeros(math.prod(shape) + tail, self.dtype)
            self.planes.load(x[channels], rows.start, self.zero, line[: math.prod(shape)].reshape(shape))
            for copy in range(copies):
                sums = self._sums(line, shape[2:], self.weight[channels, copy])
                made = slice(channels.start * copies + copy, channels.stop * copies, copies)
                self.requantize(sums[:, :count], out[made, rows], (made, rows))

    def _sums(self, line: Real, shape: tuple[int, ...], weight: Real) -> Real:
        """[C, height, width] of a plane."""
        size = math.prod(shape)
        total, term = np.empty((2, shape[0], size // shape[0]), self.dtype)
        for number, (plane, place) in enumerate(self.taps):
            met = line[plane * size + place :][:size].reshape(total.shape)
            np.multiply(met, weight[:, number], out=term if number else total)
            if number:
                total += term
        return total.reshape(shape)


def gemm(bound: Bound) -> Kernel:
    """x [N, K] times weight [O, K] transposed."""
    weight = bound.constant("weight")
    requantize, product = _requantizer(bound, weight), _product(bound, weight, 1)
    shape, dtype = bound.output.shape, bound.output.dtype

    def run(x: Integers) -> Integers:
        out = np.empty((shape[1], 1, shape[0]), dtype=dtype)
        requantize(product(x.T[None].astype(product.dtype))[0][:, None], out)
        return np.ascontiguousarray(out[:, 0].T)

    return run


def matmul(bound: Bound) -> Kernel:
    """Two activations; leading axes broadcast."""
    zeros = bound.number("input_zero"), bound.number("other_zero")
    largest = magnitude(bound.inputs[0], zeros[0]) * magnitude(bound.inputs[1], zeros[1])
    depth = bound.inputs[0].shape[-1]
    scaling = one_scaling(bound.number("multiplier"), bound.number("shift"), 0, depth * largest)
    requantize = Requantizer(bound, scaling)

    def run(a: Integers, b: Integers) -> Integers:
        out = np.empty(bound.output.shape, bound.output.dtype)
        sums = exact_matmul(a, b, zeros, largest)
        requantize(sums.reshape(-1, 1, sums.shape[-1]), out.reshape(-1, 1, sums.shape[-1]))
        return out

    return run
