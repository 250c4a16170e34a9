"""Poolings and bilinear resizes on one tile."""

from __future__ import annotations

from collections.abc import Iterable

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
from modelbuild.npu.simulator.windows import taps

RESIZE_SHIFT = 22  # two weights of 11 bits each
_Taps = Iterable[tuple[int, slice, slice]]


def run_max_pool(tile: MaxPool, setup: MaxPoolSetup, maps: TileMaps, sram: Memory) -> None:
    """The largest cell of each window; a window without any cell is an error."""
    kind = ElementType(setup.input_type)
    (place,) = maps.inputs
    x = sram.read_map(place)
    down = taps(
        setup.kernel_height,
        setup.dilation_height,
        tile.output_rows,
        tile.input_rows,
        setup.stride_height,
        tile.pad_top,
    )
    rows = _largest(x, 1, tile.output_rows, down, kind)
    across = taps(
        setup.kernel_width,
        setup.dilation_width,
        setup.output_width,
        setup.input_width,
        setup.stride_width,
        setup.pad_left,
    )
    y = _largest(rows, 2, setup.output_width, across, kind)
    sram.write_map(maps.output, np.clip(y, setup.low, setup.high))


def _largest(
    x: NDArray[np.integer], axis: int, outputs: int, found: _Taps, kind: ElementType
) -> NDArray[np.integer]:
    shape = list(x.shape)
    shape[axis] = outputs
    result = np.full(shape, kind.low, DTYPES[kind])
    seen = np.zeros(outputs, np.bool_)
    before = (slice(None),) * axis
    for _, to, source in found:
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
    x = centred_map(sram, place, setup.input_zero)
    heights = (setup.kernel_height, 1, tile.output_rows)
    widths = (setup.kernel_width, 1, setup.output_width)
    rows = _sum(x, 1, tile.output_rows, taps(*heights, tile.input_rows, setup.stride_height, tile.pad_top))
    total = _sum(
        rows, 2, setup.output_width, taps(*widths, setup.input_width, setup.stride_width, setup.pad_left)
    )
    pads = (0, 0) if setup.include_padding else (tile.pad_top, setup.pad_left)
    cells = np.outer(
        _cells(tile.output_rows, taps(*heights, tile.counted_rows, setup.stride_height, pads[0])),
        _cells(setup.output_width, taps(*widths, setup.counted_width, setup.stride_width, pads[1])),
    )
    peak = magnitude(total)
    check_accumulator(peak, ElementType(setup.input_type).size == 2)
    y = rescale(total, _divisors(tile, setup, sram, cells), peak)
    values = saturate(y, setup.output_zero, setup.low, setup.high, setup.output_type)
    sram.write_map(maps.output, values)


def _sum(x: Int64, axis: int, outputs: int, found: _Taps) -> Int64:
    shape = list(x.shape)
    shape[axis] = outputs
    result = np.zeros(shape, np.int64)
    before = (slice(None),) * axis
    for _, to, source in found:
        result[(*before, to)] += x[(*before, source)]
    return result


def _cells(outputs: int, found: _Taps) -> Int64:
    cells = np.zeros(outputs, np.int64)
    for _, to, _ in found:
        cells[to] += 1
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
    rows, row_weights = _table(sram, tile.row_table, tile.output_rows, tile.first_row, tile.input_rows)
    columns, column_weights = _table(sram, tile.column_table, setup.output_width, 0, setup.input_width)
    total = np.zeros((tile.channels, tile.output_rows, setup.output_width), np.int64)
    for i in (0, 1):
        line = x[:, rows[:, i]] * row_weights[None, :, i, None]
        for j in (0, 1):
            total += line[:, :, columns[:, j]] * column_weights[None, None, :, j]
    total += 1 << (RESIZE_SHIFT - 1)
    total >>= RESIZE_SHIFT
    sram.write_map(maps.output, saturate(total, setup.zero, setup.low, setup.high, kind))


def _table(sram: Memory, address: int, count: int, first: int, extent: int) -> tuple[Int64, Int64]:
    records = read_records(sram, address, count, 8)
    indices = np.stack([unsigned(records, 0, 2), unsigned(records, 2, 2)], axis=1) - first
    if (indices < 0).any() or (indices >= extent).any():
        raise failure("a resize reads outside its tile")
    return indices, np.stack([signed(records, 4, 2), signed(records, 6, 2)], axis=1)
