"""Sums, maxima, softmaxes and matrix products on one tile."""

from __future__ import annotations

import numpy as np

from modelbuild.npu.program import ElementType
from modelbuild.npu.program.setups import MatmulSetup, ReduceMaxSetup, ReduceSumSetup, SoftmaxSetup
from modelbuild.npu.program.tiles import Matmul, ReduceMax, ReduceSum, Softmax
from modelbuild.npu.simulator.memory import Int64, Memory, failure
from modelbuild.npu.simulator.scaling import (
    centred,
    check_accumulator,
    magnitude,
    read_records,
    read_scaling,
    rescale,
    saturate,
    unsigned,
)


def run_matmul(tile: Matmul, setup: MatmulSetup, sram: Memory) -> None:
    """rows x inner times inner x columns."""
    a = centred(sram, tile.input, tile.rows * setup.inner, setup.input_type, setup.input_zero)
    b = centred(sram, tile.other, setup.inner * tile.columns, setup.other_type, setup.other_zero)
    bound = setup.inner * magnitude(a) * magnitude(b)
    dtype = np.float32 if bound < 1 << 24 else np.float64 if bound < 1 << 53 else np.int64
    if bound >= 1 << 62:
        raise failure("a product does not fit 64 bits")
    left = a.reshape(tile.rows, setup.inner).astype(dtype)
    right = b.reshape(setup.inner, tile.columns).astype(dtype)
    total = np.matmul(left, right).astype(np.int64)
    wide = max(ElementType(setup.input_type).size, ElementType(setup.other_type).size) == 2
    check_accumulator(magnitude(total), wide)
    y = rescale(total, read_scaling(sram, tile.parameters))
    values = saturate(y, setup.output_zero, setup.low, setup.high, setup.output_type)
    sram.write(tile.output, values, ElementType(setup.output_type))


def run_reduce_sum(tile: ReduceSum, setup: ReduceSumSetup, sram: Memory) -> None:
    """The rescaled sum of each row."""
    x = centred(sram, tile.input, tile.rows * setup.length, setup.input_type, setup.input_zero)
    total = x.reshape(tile.rows, setup.length).sum(axis=1)
    check_accumulator(magnitude(total), ElementType(setup.input_type).size == 2)
    y = rescale(total, read_scaling(sram, tile.parameters))
    values = saturate(y, setup.output_zero, setup.low, setup.high, setup.output_type)
    sram.write(tile.output, values, ElementType(setup.output_type))


def run_reduce_max(tile: ReduceMax, setup: ReduceMaxSetup, sram: Memory) -> None:
    """The largest of each row."""
    kind = ElementType(setup.input_type)
    x = sram.read(tile.input, tile.rows * setup.length, kind).reshape(tile.rows, setup.length)
    sram.write(tile.output, x.max(axis=1), kind)


def run_softmax(tile: Softmax, setup: SoftmaxSetup, sram: Memory) -> None:
    """Each row by its table of exponentials; one division with rounding."""
    x = centred(sram, tile.input, tile.rows * setup.length, setup.input_type, 0)
    x = x.reshape(tile.rows, setup.length)
    wide = ElementType(setup.input_type).size == 2
    table = unsigned(read_records(sram, tile.parameters, 513 if wide else 257, 4), 0, 4)
    below, one = x.max(axis=1, keepdims=True) - x, int(table[-1])
    exponentials = _products(table, below) if wide else table[below]
    total = exponentials.sum(axis=1, keepdims=True)
    if (total == 0).any():
        raise failure("a softmax divides by 0")
    if 2 * magnitude(exponentials) * one + magnitude(total) >= 1 << 63:
        raise failure("a product does not fit 64 bits")
    y = (2 * one * exponentials + total) // (2 * total)
    values = saturate(y, setup.output_zero, setup.low, setup.high, setup.output_type)
    sram.write(tile.output, values, ElementType(setup.output_type))


def _products(table: Int64, below: Int64) -> Int64:
    """Exponentials of 16 bits: one factor for the upper byte, one for the lower, 30 fractional bits each."""
    if magnitude(table[:256]) * magnitude(table[256:512]) >= 1 << 62:
        raise failure("a product does not fit 64 bits")
    product: Int64 = table[below >> 8] * table[256 + (below & 255)]
    product += 1 << 29
    product >>= 30
    return product
