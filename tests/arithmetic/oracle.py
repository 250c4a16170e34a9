"""A scalar oracle of `multiplier_shift@1`: Python ints and loops, from docs/arithmetic.md alone.

Shared by the tests of the kernels and of the hardware simulator; slow on purpose and free of shortcuts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from tests.arithmetic.oracle_grids import Grid, as_grid, extent, filled, finish, saturate, window
from tests.arithmetic.oracle_moves import concat, gather, pad, reshape, slice_operator, transpose


def run(model: FixedModel, inputs: Mapping[str, Any]) -> dict[str, NDArray[np.integer]]:
    """Every tensor of the model, by name, as an integer array of the tensor's own type."""
    grids: dict[str, Grid] = {name: as_grid(inputs[name]) for name in model.inputs}
    for name, values in model.constants.items():
        if name in model.tensors:
            grids[name] = as_grid(values)
    for operator in model.operators:
        constants = {role: as_grid(model.constants[name]) for role, name in operator.constants.items()}
        arguments = [grids[name] for name in operator.inputs]
        grids[operator.outputs[0]] = ORACLES[operator.kind](operator, arguments, constants)
    return {name: grid.astype(model.tensors[name].dtype) for name, grid in grids.items()}


def conv(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    (x,), w = inputs, constants["weight"]
    top, left, bottom, right = p["pads"]
    (sh, sw), (dh, dw) = p["strides"], p["dilations"]
    n, _, h, width = x.shape
    o, c, kh, kw = w.shape
    rows, columns = extent(h, kh, sh, top, bottom, dh), extent(width, kw, sw, left, right, dw)

    def cell(index: tuple[int, ...]) -> int:
        sample, channel, row, column = index
        first = channel // (o // p["group"]) * c
        acc = constants["bias"][channel]
        for i, y in window(h, kh, sh, top, dh, row):
            for j, z in window(width, kw, sw, left, dw, column):
                for k in range(c):
                    acc += (x[sample, first + k, y, z] - p["input_zero"]) * w[channel, k, i, j]
        return finish(p, acc, constants["multiplier"][channel], constants["shift"][channel])

    return filled((n, o, rows, columns), cell)


def gemm(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    (x,), w = inputs, constants["weight"]

    def cell(index: tuple[int, ...]) -> int:
        sample, o = index
        acc = constants["bias"][o]
        for k in range(w.shape[1]):
            acc += (x[sample, k] - p["input_zero"]) * w[o, k]
        return finish(p, acc, constants["multiplier"][o], constants["shift"][o])

    return filled((x.shape[0], w.shape[0]), cell)


def matmul(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    a, b = inputs
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = np.broadcast_to(a, lead + a.shape[-2:])
    b = np.broadcast_to(b, lead + b.shape[-2:])

    def cell(index: tuple[int, ...]) -> int:
        *batch, i, j = index
        acc = 0
        for k in range(a.shape[-1]):
            acc += (a[(*batch, i, k)] - p["input_zero"]) * (b[(*batch, k, j)] - p["other_zero"])
        return finish(p, acc, p["multiplier"], p["shift"])

    return filled((*lead, a.shape[-2], b.shape[-1]), cell)


def add(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    a, b = np.broadcast_arrays(*inputs)

    def cell(index: tuple[int, ...]) -> int:
        left = (a[index] - p["input_zero"]) * p["input_multiplier"]
        right = (b[index] - p["other_zero"]) * p["other_multiplier"]
        return finish(p, left + right, 1, p["shift"])

    return filled(a.shape, cell)


def multiply(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    a, b = np.broadcast_arrays(*inputs)

    def cell(index: tuple[int, ...]) -> int:
        product = (a[index] - p["input_zero"]) * (b[index] - p["other_zero"])
        return finish(p, product, p["multiplier"], p["shift"])

    return filled(a.shape, cell)


def rescale_operator(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x = inputs[0]
    return filled(x.shape, lambda i: finish(p, x[i] - p["input_zero"], p["multiplier"], p["shift"]))


def prelu(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x = inputs[0]

    def cell(index: tuple[int, ...]) -> int:
        v = x[index] - p["input_zero"]
        if v >= 0:
            return finish(p, v, p["multiplier"], p["shift"])
        channel = index[1]
        return finish(p, v, constants["negative_multiplier"][channel], constants["negative_shift"][channel])

    return filled(x.shape, cell)


def table(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    x, low = inputs[0], int(str(op.parameters["input_low"]))
    return filled(x.shape, lambda index: constants["table"][x[index] - low])


def curve(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x, size = inputs[0], 2 ** p["segment_bits"]

    def part(product: int) -> int:
        return (product + size // 2) // size

    def cell(index: tuple[int, ...]) -> int:
        i, d = divmod(x[index] - p["start"], size)
        value, slope, bend = (constants[role][i] for role in ("value", "slope", "bend"))
        v = value + part((slope + part(bend * d)) * d)
        return finish(p, v, 1, 12)

    return filled(x.shape, cell)


def max_pool(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x = inputs[0]
    top, left, bottom, right = p["pads"]
    (kh, kw), (sh, sw), (dh, dw) = p["kernel"], p["strides"], p["dilations"]
    n, c, h, w = x.shape

    def cell(index: tuple[int, ...]) -> int:
        sample, channel, row, column = index
        values = [
            x[sample, channel, y, z]
            for _, y in window(h, kh, sh, top, dh, row)
            for _, z in window(w, kw, sw, left, dw, column)
        ]
        return saturate(max(values), p["low"], p["high"])

    return filled((n, c, extent(h, kh, sh, top, bottom, dh), extent(w, kw, sw, left, right, dw)), cell)


def average_pool(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x = inputs[0]
    top, left, bottom, right = p["pads"]
    (kh, kw), (sh, sw) = p["kernel"], p["strides"]
    n, c, h, w = x.shape
    counts = list(constants["count"])

    def cell(index: tuple[int, ...]) -> int:
        sample, channel, row, column = index
        rows, columns = window(h, kh, sh, top, 1, row), window(w, kw, sw, left, 1, column)
        acc = sum(x[sample, channel, y, z] - p["input_zero"] for _, y in rows for _, z in columns)
        count = len(rows) * len(columns)
        if p["count_include_pad"]:
            padded_rows = window(h + top + bottom, kh, sh, 0, 1, row)
            padded_columns = window(w + left + right, kw, sw, 0, 1, column)
            count = len(padded_rows) * len(padded_columns)
        at = counts.index(count)
        return finish(p, acc, constants["multiplier"][at], constants["shift"][at])

    return filled((n, c, extent(h, kh, sh, top, bottom, 1), extent(w, kw, sw, left, right, 1)), cell)


def reduced(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: int) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def groups(x: Grid, axes: tuple[int, ...]) -> Iterator[list[int]]:
    """For each output cell, in order, the values along the reduced axes."""
    kept = [range(1) if axis in axes else range(size) for axis, size in enumerate(x.shape)]
    for place in itertools.product(*kept):
        inner = [range(x.shape[a]) if a in axes else [place[a]] for a in range(x.ndim)]
        yield [x[index] for index in itertools.product(*inner)]


def reduce_sum(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x = inputs[0]
    sums = [sum(v - p["input_zero"] for v in values) for values in groups(x, p["axes"])]
    cells = [finish(p, v, p["multiplier"], p["shift"]) for v in sums]
    return as_grid(np.array(cells, dtype=object).reshape(reduced(x.shape, p["axes"], p["keepdims"])))


def reduce_max(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x = inputs[0]
    cells = [max(values) for values in groups(x, p["axes"])]
    return as_grid(np.array(cells, dtype=object).reshape(reduced(x.shape, p["axes"], p["keepdims"])))


def softmax(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x = inputs[0]
    axis, table = p["axis"], [int(entry) for entry in constants["table"]]
    wide = len(table) == 512
    products = ((a, b) for a in table[:256] for b in table[256:])
    exponentials = [(a * b + 2**29) // 2**30 for a, b in products] if wide else table

    def cell(index: tuple[int, ...]) -> int:
        line = [x[(*index[:axis], k, *index[axis + 1 :])] for k in range(x.shape[axis])]
        largest = max(line)
        total = sum(exponentials[largest - v] for v in line)
        e = exponentials[largest - x[index]]
        share = (2 * e * p["one"] + total) // (2 * total)
        return saturate(share + p["output_zero"], p["low"], p["high"])

    return filled(x.shape, cell)


def resize_linear(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x = inputs[0]
    rows, columns = constants["rows"], constants["columns"]
    rw, cw = constants["row_weights"], constants["column_weights"]

    def cell(index: tuple[int, ...]) -> int:
        n, c, h, w = index
        acc = 0
        for i in range(2):
            for j in range(2):
                acc += rw[h, i] * cw[w, j] * (x[n, c, rows[h, i], columns[w, j]] - p["output_zero"])
        return saturate((acc + 2**21) // 2**22 + p["output_zero"], p["low"], p["high"])

    return filled((x.shape[0], x.shape[1], len(rows), len(columns)), cell)


Oracle = Callable[[FixedOperator, list[Grid], dict[str, Grid]], Grid]
ORACLES: dict[str, Oracle] = {
    "conv": conv,
    "gemm": gemm,
    "matmul": matmul,
    "add": add,
    "multiply": multiply,
    "rescale": rescale_operator,
    "prelu": prelu,
    "table": table,
    "curve": curve,
    "max_pool": max_pool,
    "average_pool": average_pool,
    "reduce_sum": reduce_sum,
    "reduce_max": reduce_max,
    "softmax": softmax,
    "concat": concat,
    "reshape": reshape,
    "transpose": transpose,
    "slice": slice_operator,
    "pad": pad,
    "gather": gather,
    "resize_linear": resize_linear,
}
