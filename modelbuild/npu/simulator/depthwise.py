"""Windows over single channels, as long runs of neighbouring cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.simulator.windows import looked_at, taps

Floats = NDArray[np.floating]
CACHED = 1 << 17  # cells that are worked on at once, so that they stay in the processor's cache
PADDED, SMALL = 4, 128  # a picture that is padded to more than so many times what is seen goes tap by tap


@dataclass(frozen=True)
class Axis:
    """A window along rows or columns; `step` is how far cells of the input lie apart."""

    kernel: int
    stride: int
    dilation: int
    pad: int
    step: int
    inputs: int
    outputs: int

    @property
    def span(self) -> int:
        """Cells that all windows look at, from the first to the last."""
        return (self.outputs - 1) * self.stride + (self.kernel - 1) * self.dilation + 1

    @property
    def phase(self) -> int:
        """Cells of the span whose positions leave the same rest when divided by the stride."""
        return -(-self.span // self.stride)

    @property
    def looked_at(self) -> int:
        """Taps that `taps` goes through."""
        return len(
            looked_at(self.kernel, self.dilation, self.outputs, self.inputs, self.stride, self.pad, self.step)
        )

    def taps(self) -> list[tuple[int, slice, slice]]:
        """(tap, outputs, inputs) of every tap that sees a cell at all."""
        return list(
            taps(self.kernel, self.dilation, self.outputs, self.inputs, self.stride, self.pad, self.step)
        )


def depthwise(x: Floats, weights: Floats, down: Axis, across: Axis) -> Floats:
    """[channels, rows, columns] by [channels, kernel] -> [channels, output rows, output columns]."""
    total = np.empty((len(x), down.outputs, across.outputs), x.dtype)
    padded = down.phase * down.stride * across.phase * across.stride
    is_little = padded <= _most_padded(down, across)
    method = _long_runs if down.step == across.step == 1 and is_little else _by_taps
    size = max(1, CACHED // max(padded if method is _long_runs else 1, down.outputs * across.outputs))
    for first in range(0, len(x), size):
        some = slice(first, first + size)
        method(x[some], weights[some], down, across, total[some])
    return total


def _most_padded(down: Axis, across: Axis) -> int:
    """Cells of a padded picture that are still looked at as long runs."""
    return PADDED * (down.inputs * across.inputs + down.outputs * across.outputs) + SMALL


def depthwise_turns(channels: int, down: Axis, across: Axis) -> int:
    """At most so often `depthwise` goes through a loop of Python's."""
    most = _most_padded(down, across)
    taps = max(down.looked_at * across.looked_at, min(down.kernel * across.kernel, most))
    blocks = min(channels, 1 + channels * most // CACHED)
    return blocks * (down.looked_at + across.looked_at + taps)


def _by_taps(x: Floats, weights: Floats, down: Axis, across: Axis, total: Floats) -> None:
    """Only cells that exist are looked at."""
    total[...] = 0
    columns = across.taps()
    for i, out_rows, in_rows in down.taps():
        for j, out_columns, in_columns in columns:
            weight = weights[:, i * across.kernel + j, None, None]
            total[:, out_rows, out_columns] += weight * x[:, in_rows, in_columns]


def _long_runs(x: Floats, weights: Floats, down: Axis, across: Axis, total: Floats) -> None:
    """The padded picture is sorted by the rests of its rows and columns when divided by the strides. In each
    part a tap is a shift, and all outputs of a channel are one run (with some between the rows that nobody
    wants)."""
    parts = _sorted_by_rest(x, down, across)
    width = across.phase
    length = (down.outputs - 1) * width + across.outputs
    sums = np.empty((len(x), down.outputs * width), x.dtype)
    products = np.empty((len(x), length), x.dtype)
    run = sums[:, :length]
    for i in range(down.kernel):
        row, row_rest = divmod(i * down.dilation, down.stride)
        for j in range(across.kernel):
            column, column_rest = divmod(j * across.dilation, across.stride)
            start = row * width + column
            part = parts[row_rest, column_rest][:, start : start + length]
            np.multiply(part, weights[:, i * across.kernel + j, None], out=products if i or j else run)
            if i or j:
                run += products
    total[...] = sums.reshape(len(x), down.outputs, width)[:, :, : across.outputs]


def _sorted_by_rest(x: Floats, down: Axis, across: Axis) -> dict[tuple[int, int], Floats]:
    """(rest of row, rest of column) -> [channels, rows * columns] of the padded picture."""
    shape = (len(x), down.phase * down.stride, across.phase * across.stride)
    padded = np.zeros(shape, x.dtype)
    to_rows, rows = _placed(down, shape[1])
    to_columns, columns = _placed(across, shape[2])
    padded[:, to_rows, to_columns] = x[:, rows, columns]
    return {
        (row, column): padded[:, row :: down.stride, column :: across.stride].reshape(len(x), -1)
        for row in range(min(down.stride, down.span))
        for column in range(min(across.stride, across.span))
    }


def _placed(axis: Axis, extent: int) -> tuple[slice, slice]:
    """Where cells of the input lie in the padded picture, and which they are."""
    first = max(0, -axis.pad)
    count = max(0, min(axis.inputs - first, extent - (first + axis.pad)))
    return slice(first + axis.pad, first + axis.pad + count), slice(first, first + count)
