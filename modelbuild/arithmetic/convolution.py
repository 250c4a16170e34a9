"""Kernels of `conv`, `gemm` and `matmul`.

The zero point is not taken from x but from the bias, `Σ w·(x − z) = Σ w·x − z·Σ w`, and padding is z.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from modelbuild.arithmetic.binding import Bound, Kernel, magnitude
from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.arithmetic.products import ExactProduct, exact_matmul, exact_type
from modelbuild.arithmetic.requantize import Part, Requantizer, one_scaling, row_scaling
from modelbuild.arithmetic.windows import Planes, Window, window_of

MATRIX = 1 << 18  # elements of the larger matrix that a product reads or makes
LEAST_BLOCK = 256  # places; below this a product is slow
LINE = 1 << 17  # cells of a block of planes
Real = NDArray[Any]
Accumulate = Callable[[Integers, Integers], None]  # one picture [C, H, W] to its output [O, H', W']


class Finish(Protocol):
    """Takes sums [R, H, W''], whole numbers in a float type, of the rows and lines `part`, to `out` [R, H,
    W'], W' ≤ W'': what lies behind is left out."""

    def __call__(self, accumulator: Real, out: Integers, part: Part = ...) -> None: ...


@dataclass(frozen=True)
class Sums:
    """Sums of w·x over windows: integer weights [O, C/g, kh, kw], `fill` outside of the picture [C, H, W],
    and no |x| above `largest`."""

    weight: Integers
    group: int
    window: Window
    picture: tuple[int, ...]
    fill: int
    largest: int

    def product(self) -> ExactProduct:
        """The weights a group as a matrix."""
        groups = self.group
        return ExactProduct(self.weight.reshape(groups, len(self.weight) // groups, -1), self.largest)


def conv(bound: Bound) -> Kernel:
    """Pointwise as one product, depthwise by multiply-adds of shifted planes, everything else by im2col."""
    weight = bound.constant("weight")
    window = window_of(bound, weight.shape[2:])
    fill, largest = bound.number("input_zero"), magnitude(bound.inputs[0], 0)
    picture = bound.inputs[0].shape[1:]
    sums = Sums(weight, bound.number("group"), window, picture, fill, largest)
    one = accumulated(sums, _requantizer(bound, weight))
    shape, dtype = bound.output.shape, bound.output.dtype

    def run(x: Integers) -> Integers:
        out = np.empty(shape, dtype=dtype)
        for sample in range(shape[0]):
            one(x[sample], out[sample])
        return out

    return run


def accumulated(sums: Sums, finish: Finish) -> Accumulate:
    """The way of making these sums, exactly, that is fastest."""
    if sums.weight.shape[1] == 1 and sums.group > 1:
        return _Depthwise(sums, finish)
    return (_Pointwise if sums.window.is_pointwise else _Columns)(sums, finish)


def _requantizer(bound: Bound, weight: Integers) -> Requantizer:
    """From sums of w·x, the zero point not yet taken off."""
    rows = weight.astype(np.int64).reshape(len(weight), -1)
    bias = bound.constant("bias").astype(np.int64) - bound.number("input_zero") * rows.sum(axis=1)
    largest = int(np.abs(rows).sum(axis=1).max()) * magnitude(bound.inputs[0], 0)
    return Requantizer(bound, row_scaling(bound, bias, largest))


class _Pointwise:
    """One product over blocks of places."""

    def __init__(self, sums: Sums, finish: Finish) -> None:
        self.finish, self.product = finish, sums.product()
        self.block = max(LEAST_BLOCK, MATRIX // max(sums.picture[0], len(sums.weight)))

    def __call__(self, x: Integers, out: Integers) -> None:
        groups, _, depth = self.product.weight.shape
        flat, made = x.reshape(groups, depth, -1), out.reshape(len(out), 1, -1)
        for start in range(0, flat.shape[2], self.block):
            places = slice(start, start + self.block)
            sums = self.product(flat[:, :, places].astype(self.product.dtype))
            self.finish(sums.reshape(len(out), 1, -1), made[:, :, places])


class _Columns:
    """im2col over strips of rows, one product a group."""

    def __init__(self, sums: Sums, finish: Finish) -> None:
        self.finish, self.product, self.fill = finish, sums.product(), sums.fill
        self.planes = Planes(sums.window, sums.picture[1:])
        groups, _, depth = self.product.weight.shape
        self.strip = max(1, MATRIX // (max(groups * depth, len(sums.weight)) * sums.window.out[1]))

    def __call__(self, x: Integers, out: Integers) -> None:
        groups, _, depth = self.product.weight.shape
        for start in range(0, out.shape[1], self.strip):
            rows = slice(start, min(start + self.strip, out.shape[1]))
            columns = self._columns(x, rows)
            sums = self.product(columns.reshape(groups, depth, -1))
            self.finish(sums.reshape(out[:, rows].shape), out[:, rows])

    def _columns(self, x: Integers, rows: slice) -> Real:
        """[C, kh, kw, rows, W'] of the windows' cells."""
        count, width = rows.stop - rows.start, self.planes.window.out[1]
        empty = np.empty(self.planes.shape(len(x), count), self.product.dtype)
        planes = self.planes.load(x, rows.start, self.fill, empty)
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

    def __init__(self, sums: Sums, finish: Finish) -> None:
        self.finish, self.fill = finish, sums.fill
        self.planes = Planes(sums.window, sums.picture[1:])
        self.dtype: DTypeLike = exact_type(sums.weight, sums.largest)
        self.taps = self.planes.flat_taps()
        self.weight = sums.weight.reshape(sums.group, -1, len(self.taps), 1).astype(self.dtype)

    def __call__(self, x: Integers, out: Integers) -> None:
        copies = self.weight.shape[1]
        tail = max(place for _, place in self.taps)
        for channels, rows in self.planes.blocks(len(x), LINE):
            count = rows.stop - rows.start
            shape = self.planes.shape(channels.stop - channels.start, count)
            line = np.zeros(math.prod(shape) + tail, self.dtype)
            self.planes.load(x[channels], rows.start, self.fill, line[: math.prod(shape)].reshape(shape))
            for copy in range(copies):
                sums = self._sums(line, shape[2:], self.weight[channels, copy])
                made = slice(channels.start * copies + copy, channels.stop * copies, copies)
                self.finish(sums[:, :count], out[made, rows], (made, rows))

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
    requantize = _requantizer(bound, weight)
    product = ExactProduct(weight[None], magnitude(bound.inputs[0], 0))
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
