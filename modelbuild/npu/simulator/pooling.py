"""Poolings and bilinear resizes on one tile."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.program import ElementType
from modelbuild.npu.program.setups import AveragePoolSetup, MaxPoolSetup, ResizeSetup
from modelbuild.npu.program.tiles import AveragePool, MaxPool, Resize
from modelbuild.npu.simulator.maps import TileMaps
from modelbuild.npu.simulator.memory import DTYPES, Int64, Memory, failure
from modelbuild.npu.simulator.scaling import (
    Scaling,
    centred_map,
    check_accumulator,
    magnitude,
    read_records,
    rescale,
    saturate,
    signed,
    unsigned,
)
from modelbuild.npu.simulator.windows import looked_at, taps

RESIZE_SHIFT = 22  # two weights of 11 bits each


class PoolWindow(NamedTuple):
    """A window along one axis, as `taps` takes it."""

    kernel: int
    dilation: int
    outputs: int
    inputs: int
    stride: int
    pad: int


def run_max_pool(tile: MaxPool, setup: MaxPoolSetup, maps: TileMaps, sram: Memory) -> None:
    """The largest cell of each window; a window without any cell is an error."""
    kind = ElementType(setup.input_type)
    (place,) = maps.inputs
    x = sram.read_map(place)
    for axis, window in _in_order(*pool_windows(tile, setup)):
        x = _largest(x, axis, window, kind)
    sram.write_map(maps.output, np.clip(x, setup.low, setup.high))


def pool_windows(
    tile: MaxPool | AveragePool, setup: MaxPoolSetup | AveragePoolSetup
) -> tuple[PoolWindow, PoolWindow]:
    """Of a pooling's rows and columns."""
    across = setup.output_width, setup.input_width, setup.stride_width, setup.pad_left
    down = tile.output_rows, tile.input_rows, setup.stride_height, tile.pad_top
    dilations = getattr(setup, "dilation_height", 1), getattr(setup, "dilation_width", 1)
    return (
        PoolWindow(setup.kernel_height, dilations[0], *down),
        PoolWindow(setup.kernel_width, dilations[1], *across),
    )


def pool_work(down: PoolWindow, across: PoolWindow) -> tuple[int, int]:
    """Cells of a channel that the passes over both axes look at, and the taps that they go through."""
    (_, first), (_, second) = _in_order(down, across)
    looked = len(looked_at(*first)), len(looked_at(*second))
    seen = [min(one, window.inputs) for one, window in zip(looked, (first, second), strict=True)]
    return first.outputs * (seen[0] * second.inputs + seen[1] * second.outputs), sum(looked)


def _in_order(down: PoolWindow, across: PoolWindow) -> tuple[tuple[int, PoolWindow], tuple[int, PoolWindow]]:
    """(axis, window), that first which leaves fewer cells: never more than input or output has."""
    rows_first = down.outputs * across.inputs <= down.inputs * across.outputs
    found = (1, down), (2, across)
    return found if rows_first else found[::-1]


def _largest(x: NDArray[np.integer], axis: int, window: PoolWindow, kind: ElementType) -> NDArray[np.integer]:
    shape = list(x.shape)
    shape[axis] = window.outputs
    result = np.full(shape, kind.low, DTYPES[kind])
    seen = np.zeros(window.outputs, np.bool_)
    before = (slice(None),) * axis
    for _, to, source in taps(*window):
        part = result[(*before, to)]
        np.maximum(part, x[(*before, source)], out=part)
        seen[to] = True
    if not seen.all():
        raise failure("a window of a pooling sees no cell")
    return result


def run_average_pool(tile: AveragePool, setup: AveragePoolSetup, maps: TileMaps, sram: Memory) -> None:
    """Sums over windows, rescaled by the divisor of each window's number of cells."""
    counted = tile.counted_rows, setup.counted_width
    if not setup.include_padding and counted != (tile.input_rows, setup.input_width):
        raise failure("a pooling without its padding counts other cells than those of the picture")
    (place,) = maps.inputs
    total = centred_map(sram, place, setup.input_zero)
    windows = pool_windows(tile, setup)
    for axis, window in _in_order(*windows):
        total = _sum(total, axis, window)
    down, across = (
        window._replace(inputs=extent, pad=0 if setup.include_padding else window.pad)
        for window, extent in zip(windows, counted, strict=True)
    )
    cells = np.outer(_cells(down), _cells(across))
    peak = magnitude(total)
    check_accumulator(peak, ElementType(setup.input_type).size == 2)
    y = rescale(total, _divisors(tile, setup, sram, cells), peak)
    values = saturate(y, setup.output_zero, setup.low, setup.high, setup.output_type)
    sram.write_map(maps.output, values)


def _sum(x: Int64, axis: int, window: PoolWindow) -> Int64:
    shape = list(x.shape)
    shape[axis] = window.outputs
    result = np.zeros(shape, np.int64)
    before = (slice(None),) * axis
    for _, to, source in taps(*window):
        result[(*before, to)] += x[(*before, source)]
    return result


def _cells(window: PoolWindow) -> Int64:
    """How many cells each output's window has, without dilation."""
    first = np.arange(window.outputs, dtype=np.int64) * window.stride - window.pad
    last = np.minimum(first + window.kernel, window.inputs)
    cells: Int64 = np.maximum(last - np.maximum(first, 0), 0)
    return cells


def _divisors(tile: AveragePool, setup: AveragePoolSetup, sram: Memory, cells: Int64) -> Scaling:
    records = read_records(sram, tile.parameters, setup.entries, 9)
    counts = signed(records, 0, 4)
    if (np.diff(counts) <= 0).any():
        raise failure("the divisors of a pooling are not in ascending order")
    index = np.minimum(np.searchsorted(counts, cells), len(counts) - 1)
    if (counts[index] != cells).any():
        raise failure("a pooling has no divisor for the cells of a window")
    return Scaling(signed(records, 4, 4), unsigned(records, 8, 1)).select(index)


def run_resize(tile: Resize, setup: ResizeSetup, maps: TileMaps, sram: Memory) -> None:
    """Bilinear: two rows by two columns a cell."""
    kind = ElementType(setup.input_type)
    (place,) = maps.inputs
    x = centred_map(sram, place, setup.zero)
    down = _table(sram, tile.row_table, tile.output_rows, tile.first_row, tile.input_rows)
    across = _table(sram, tile.column_table, setup.output_width, 0, setup.input_width)
    rows_first = tile.output_rows * setup.input_width <= tile.input_rows * setup.output_width
    passes = (1, down), (2, across)  # that first which leaves fewer cells
    total = x
    for axis, table in passes if rows_first else passes[::-1]:
        total = _interpolated(total, axis, *table)
    total += 1 << (RESIZE_SHIFT - 1)
    total >>= RESIZE_SHIFT
    sram.write_map(maps.output, saturate(total, setup.zero, setup.low, setup.high, kind))


def _interpolated(x: Int64, axis: int, indices: Int64, weights: Int64) -> Int64:
    """Two cells along an axis for each output, weighted."""
    shape = [1, 1, 1]
    shape[axis] = -1
    total: Int64 = np.take(x, indices[:, 0], axis) * weights[:, 0].reshape(shape)
    total += np.take(x, indices[:, 1], axis) * weights[:, 1].reshape(shape)
    return total


def _table(sram: Memory, address: int, count: int, first: int, extent: int) -> tuple[Int64, Int64]:
    records = read_records(sram, address, count, 8)
    indices = np.stack([unsigned(records, 0, 2), unsigned(records, 2, 2)], axis=1) - first
    if (indices < 0).any() or (indices >= extent).any():
        raise failure("a resize reads outside its tile")
    return indices, np.stack([signed(records, 4, 2), signed(records, 6, 2)], axis=1)
