"""The array's convolution on one tile: exact sums by matrix products of floats that are proven exact."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.program import ElementType
from modelbuild.npu.program.setups import ConvolutionSetup
from modelbuild.npu.program.tiles import Convolution
from modelbuild.npu.simulator.maps import input_maps, output_map
from modelbuild.npu.simulator.memory import Int64, Memory
from modelbuild.npu.simulator.scaling import (
    Scaling,
    check_accumulator,
    magnitude,
    read_records,
    rescale,
    saturate,
    signed,
    unsigned,
)
from modelbuild.npu.simulator.windows import taps

RECORD_BYTES = 9
PATCH_LIMIT = 1 << 22  # elements of patches at once
Floats = NDArray[np.floating]


def run_convolution(tile: Convolution, setup: ConvolutionSetup, sram: Memory) -> None:
    """One tile: groups x group_outputs channels x output_rows x output_width."""
    groups, outputs, inputs = tile.groups, tile.group_outputs, setup.group_inputs
    kernel = setup.kernel_height * setup.kernel_width
    weight_type = ElementType(setup.weight_type)
    count = groups * outputs * inputs * kernel
    weights = sram.read(tile.weights, count, weight_type).reshape(groups, outputs, inputs, kernel)
    wide = max(ElementType(setup.input_type).size, weight_type.size) == 2
    bias, scaling = _records(sram, tile.weights + count * weight_type.size, groups * outputs, wide)
    peak, product = _bound(setup, weights, bias)
    check_accumulator(peak, wide)
    # all partial sums are exact: below 2^24 in single, below 2^53 in double precision
    dtype: type[np.floating] = np.float32 if product < 1 << 24 else np.float64
    x = _input(tile, setup, sram, dtype)
    result = np.empty((groups, outputs, tile.output_rows, setup.output_width), np.int64)
    factors = weights.astype(dtype)
    for rows, columns in _blocks(tile, setup):
        block = result[:, :, rows, columns]
        window = (rows.start, rows.stop - rows.start, columns.start, columns.stop - columns.start)
        if inputs == 1 == outputs:
            block[:, 0] = _depthwise(setup, tile, x[:, 0], factors[:, 0, 0], window)
        else:
            patches = _patches(setup, tile, x, window)
            block[...] = np.matmul(factors.reshape(groups, outputs, -1), patches).reshape(block.shape)
    flat = result.reshape(groups * outputs, -1)
    flat += bias[:, None]
    flat = rescale(flat, scaling.reshape(-1, 1), peak)
    values = saturate(flat, setup.output_zero, setup.low, setup.high, setup.output_type)
    sram.write_map(output_map(tile, setup), values)


def _records(sram: Memory, address: int, count: int, wide: bool) -> tuple[Int64, Scaling]:
    records = read_records(sram, address, count, RECORD_BYTES)
    bias, multiplier = (6, 2) if wide else (4, 4)
    return (
        signed(records, 0, bias),
        Scaling(signed(records, bias, multiplier), unsigned(records, bias + multiplier, 1)),
    )


def _bound(setup: ConvolutionSetup, weights: NDArray[np.integer], bias: Int64) -> tuple[int, int]:
    """Bounds of the accumulator with and without bias, from the weights and the input's type."""
    kind = ElementType(setup.input_type)
    largest = max(kind.high - setup.input_zero, setup.input_zero - kind.low)
    sums = np.abs(weights.astype(np.int64)).sum(axis=(2, 3)).reshape(-1)
    product = magnitude(sums) * largest
    return product + magnitude(bias), product


def _input(tile: Convolution, setup: ConvolutionSetup, sram: Memory, dtype: type[np.floating]) -> Floats:
    shape = (tile.groups, setup.group_inputs, tile.input_rows, setup.input_width)
    if not tile.input_rows:
        return np.zeros(shape, dtype)
    (place,) = input_maps(tile, setup)
    x = sram.read_map(place).astype(dtype)
    x -= setup.input_zero
    return x.reshape(shape)


def _blocks(tile: Convolution, setup: ConvolutionSetup) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the output, in blocks whose patches stay within PATCH_LIMIT."""
    depth = tile.groups * setup.group_inputs
    if setup.group_inputs * tile.group_outputs > 1:
        depth *= setup.kernel_height * setup.kernel_width
    columns = max(1, min(setup.output_width, PATCH_LIMIT // depth))
    rows = max(1, PATCH_LIMIT // (depth * columns))
    for row in range(0, tile.output_rows, rows):
        for column in range(0, setup.output_width, columns):
            yield (
                slice(row, min(row + rows, tile.output_rows)),
                slice(column, min(column + columns, setup.output_width)),
            )


_Window = tuple[int, int, int, int]  # first row, rows, first column, columns of the output


def _axis_taps(
    setup: ConvolutionSetup, tile: Convolution, window: _Window
) -> tuple[list[tuple[int, slice, slice]], list[tuple[int, slice, slice]]]:
    row, rows, column, columns = window
    down = taps(
        setup.kernel_height,
        setup.dilation_height,
        rows,
        tile.input_rows,
        setup.stride_height,
        tile.pad_top - row * setup.stride_height,
        setup.input_step_height,
    )
    across = taps(
        setup.kernel_width,
        setup.dilation_width,
        columns,
        setup.input_width,
        setup.stride_width,
        setup.pad_left - column * setup.stride_width,
        setup.input_step_width,
    )
    return list(down), list(across)


def _depthwise(
    setup: ConvolutionSetup, tile: Convolution, x: Floats, weights: Floats, window: _Window
) -> Floats:
    down, across = _axis_taps(setup, tile, window)
    total = np.zeros((len(x), window[1], window[3]), x.dtype)
    for i, out_rows, in_rows in down:
        for j, out_columns, in_columns in across:
            weight = weights[:, i * setup.kernel_width + j, None, None]
            total[:, out_rows, out_columns] += weight * x[:, in_rows, in_columns]
    return total


def _patches(setup: ConvolutionSetup, tile: Convolution, x: Floats, window: _Window) -> Floats:
    """[groups, inputs * kernel, pixels]: what the weights of each group meet."""
    groups, inputs = x.shape[:2]
    down, across = _axis_taps(setup, tile, window)
    pixels = (window[1], window[3])
    if (
        setup.kernel_height * setup.kernel_width == 1
        and x.shape[2:] == pixels
        and _is_identity(down, across, pixels)
    ):
        return x.reshape(groups, inputs, -1)
    patches = np.zeros((groups, inputs, setup.kernel_height, setup.kernel_width, *pixels), x.dtype)
    for i, out_rows, in_rows in down:
        for j, out_columns, in_columns in across:
            patches[:, :, i, j, out_rows, out_columns] = x[:, :, in_rows, in_columns]
    return patches.reshape(groups, inputs * setup.kernel_height * setup.kernel_width, -1)


def _is_identity(
    down: list[tuple[int, slice, slice]], across: list[tuple[int, slice, slice]], pixels: tuple[int, int]
) -> bool:
    return all(
        found == [(0, slice(0, extent, 1), slice(0, extent, 1))]
        for found, extent in zip((down, across), pixels, strict=True)
    )
