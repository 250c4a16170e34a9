"""The array's convolution on one tile: exact sums by matrix products of floats that are proven exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.program import ElementType
from modelbuild.npu.program.setups import ConvolutionSetup
from modelbuild.npu.program.tiles import Convolution
from modelbuild.npu.simulator.depthwise import Axis, depthwise, depthwise_turns
from modelbuild.npu.simulator.maps import TileMaps
from modelbuild.npu.simulator.memory import DTYPES, Int64, Scratchpad
from modelbuild.npu.simulator.output_stage import OutputStage
from modelbuild.npu.simulator.scaling import (
    Scaling,
    check_accumulator,
    magnitude,
    read_records,
    signed,
    unsigned,
)

RECORD_BYTES = 9
PATCH_LIMIT = 1 << 22  # elements of patches at once
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class _Filters:
    """Weights [groups, outputs, inputs * kernel] as floats whose sums of products are exact, and what becomes
    of the sums."""

    weights: Floats
    stage: OutputStage


def run_convolution(tile: Convolution, setup: ConvolutionSetup, maps: TileMaps, sram: Scratchpad) -> None:
    """One tile: groups x group_outputs channels x output_rows x output_width."""
    groups, outputs, inputs = tile.groups, tile.group_outputs, setup.group_inputs
    count = groups * outputs * inputs * setup.kernel_height * setup.kernel_width
    size = count * ElementType(setup.weight_type).size + groups * outputs * RECORD_BYTES
    filters: _Filters = sram.derived(
        tile.weights, size, (groups, outputs, setup), lambda: _filters(tile, setup, sram)
    )
    x = _input(tile, setup, maps, sram, filters.weights.dtype)
    shape = (groups, outputs, tile.output_rows, setup.output_width)
    result = np.empty(shape, DTYPES[ElementType(setup.output_type)])
    for rows, columns in _blocks(tile, setup):
        window = (rows.start, rows.stop - rows.start, columns.start, columns.stop - columns.start)
        if inputs == 1 == outputs:
            sums = depthwise(x[:, 0], filters.weights[:, 0], *_axes(setup, tile, window))
        else:
            sums = np.matmul(filters.weights, _patches(setup, tile, x, window))
        values = filters.stage.apply(sums.reshape(groups * outputs, -1))
        result[:, :, rows, columns] = values.reshape(groups, outputs, window[1], window[3])
    sram.write_map(maps.output, result)


def _filters(tile: Convolution, setup: ConvolutionSetup, sram: Scratchpad) -> _Filters:
    channels = tile.groups * tile.group_outputs
    kind, kernel = ElementType(setup.weight_type), setup.kernel_height * setup.kernel_width
    count = channels * setup.group_inputs * kernel
    weights = sram.read(tile.weights, count, kind).reshape(tile.groups, tile.group_outputs, -1)
    wide = max(ElementType(setup.input_type).size, kind.size) == 2
    bias, scaling = _records(sram, tile.weights + count * kind.size, channels, wide)
    product = _bound(setup, weights)
    peak = product + magnitude(bias)
    check_accumulator(peak, wide)
    # all partial sums are exact: below 2^24 in single, below 2^53 in double precision
    dtype = np.float32 if product < 1 << 24 else np.float64
    return _Filters(weights.astype(dtype), OutputStage(bias, scaling, peak, setup))


def _records(sram: Scratchpad, address: int, count: int, wide: bool) -> tuple[Int64, Scaling]:
    records = read_records(sram, address, count, RECORD_BYTES)
    bias, multiplier = (6, 2) if wide else (4, 4)
    return (
        signed(records, 0, bias),
        Scaling(signed(records, bias, multiplier), unsigned(records, bias + multiplier, 1)),
    )


def _bound(setup: ConvolutionSetup, weights: NDArray[np.integer]) -> int:
    """Bound of the sums without bias, from the weights and the input's type."""
    kind = ElementType(setup.input_type)
    largest = max(kind.high - setup.input_zero, setup.input_zero - kind.low)
    sums = np.abs(weights.astype(np.int32)).sum(axis=2, dtype=np.int64)
    return magnitude(sums) * largest


def _input(
    tile: Convolution, setup: ConvolutionSetup, maps: TileMaps, sram: Scratchpad, dtype: np.dtype[np.floating]
) -> Floats:
    shape = (tile.groups, setup.group_inputs, tile.input_rows, setup.input_width)
    if not tile.input_rows:
        return np.zeros(shape, dtype)
    (place,) = maps.inputs
    x: Floats = np.subtract(sram.read_map(place), dtype.type(setup.input_zero), dtype=dtype)
    return x.reshape(shape)


def turns(tile: Convolution, setup: ConvolutionSetup) -> int:
    """At most so often a tile goes through a loop of Python's."""
    rows, columns = _block(tile, setup)
    blocks = -(-tile.output_rows // rows) * -(-setup.output_width // columns)
    axes = _axes(setup, tile, (0, tile.output_rows, 0, setup.output_width))
    if setup.group_inputs * tile.group_outputs == 1:
        return blocks * depthwise_turns(tile.groups, *axes)
    down, across = (axis.looked_at for axis in axes)
    return blocks * (down + across + down * across)


def _block(tile: Convolution, setup: ConvolutionSetup) -> tuple[int, int]:
    """Rows and columns of the output whose patches stay within PATCH_LIMIT."""
    depth = tile.groups * setup.group_inputs
    if setup.group_inputs * tile.group_outputs > 1:
        depth *= setup.kernel_height * setup.kernel_width
    columns = max(1, min(setup.output_width, PATCH_LIMIT // depth))
    return max(1, PATCH_LIMIT // (depth * columns)), columns


def _blocks(tile: Convolution, setup: ConvolutionSetup) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the output, block by block."""
    rows, columns = _block(tile, setup)
    for row in range(0, tile.output_rows, rows):
        for column in range(0, setup.output_width, columns):
            yield (
                slice(row, min(row + rows, tile.output_rows)),
                slice(column, min(column + columns, setup.output_width)),
            )


_Window = tuple[int, int, int, int]  # first row, rows, first column, columns of the output
_Taps = list[tuple[int, slice, slice]]


def _axes(setup: ConvolutionSetup, tile: Convolution, window: _Window) -> tuple[Axis, Axis]:
    row, rows, column, columns = window
    down = Axis(
        setup.kernel_height,
        setup.stride_height,
        setup.dilation_height,
        tile.pad_top - row * setup.stride_height,
        setup.input_step_height,
        tile.input_rows,
        rows,
    )
    across = Axis(
        setup.kernel_width,
        setup.stride_width,
        setup.dilation_width,
        setup.pad_left - column * setup.stride_width,
        setup.input_step_width,
        setup.input_width,
        columns,
    )
    return down, across


def _patches(setup: ConvolutionSetup, tile: Convolution, x: Floats, window: _Window) -> Floats:
    """[groups, inputs * kernel, pixels]: what the weights of each group meet."""
    groups, inputs = x.shape[:2]
    down, across = (axis.taps() for axis in _axes(setup, tile, window))
    pixels = (window[1], window[3])
    kernel = (setup.kernel_height, setup.kernel_width)
    if kernel == (1, 1) and x.shape[2:] == pixels and _is_identity(down, across, pixels):
        return x.reshape(groups, inputs, -1)
    patches = np.zeros((groups, inputs, *kernel, *pixels), x.dtype)
    for i, out_rows, in_rows in down:
        for j, out_columns, in_columns in across:
            patches[:, :, i, j, out_rows, out_columns] = x[:, :, in_rows, in_columns]
    return patches.reshape(groups, inputs * kernel[0] * kernel[1], -1)


def _is_identity(down: _Taps, across: _Taps, pixels: tuple[int, int]) -> bool:
    return all(
        found == [(0, slice(0, extent, 1), slice(0, extent, 1))]
        for found, extent in zip((down, across), pixels, strict=True)
    )
