"""Convolutions and fully connected layers as tiles of output rows by output channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modelbuild.npu.emitter import Emitter, Place
from modelbuild.npu.lowering.operation import SHIFT, Operation, packed
from modelbuild.npu.program import ElementType
from modelbuild.npu.program.setups import ConvolutionSetup
from modelbuild.npu.program.tiles import Convolution
from modelbuild.npu.tiling import (
    RECORD_BYTES,
    ConvolutionShape,
    ConvolutionTiling,
    plan_convolution,
    window_span,
)
from modelbuild.npu.timeline import Buffer


@dataclass(frozen=True)
class _Layer:
    """A convolution whose shapes and parameters have been checked. `weight` is [O, bytes of a filter]."""

    shape: ConvolutionShape
    setup: ConvolutionSetup
    pad_top: int
    source: Place
    target: Place
    weight: np.ndarray[tuple[int, int], np.dtype[np.uint8]]
    records: np.ndarray[tuple[int, int], np.dtype[np.uint8]]


@dataclass(frozen=True)
class _Channels:
    """Output channels first..first+count of a tile, in whole groups or within one; where its weights are."""

    group: int
    groups: int
    first: int
    group_outputs: int
    address: int
    size: int


def lower_convolution(operation: Operation, emitter: Emitter) -> None:
    """`conv`: x [N, C, H, W], weight [O, C/g, kh, kw]."""
    source, target = operation.inputs[0], operation.output
    operation.check(len(source.tensor.shape) == 4 == len(target.tensor.shape), "conv needs tensors of rank 4")
    batch, channels, height, width = source.tensor.shape
    groups = operation.integer("group")
    weight = operation.constant("weight", (target.tensor.shape[1], None, None, None))
    outputs, group_inputs, kernel_height, kernel_width = weight.shape
    operation.check(groups > 0 and group_inputs * groups == channels, "weight and group do not fit the input")
    operation.check(outputs % groups == 0, "the output channels are not a multiple of group")
    strides, dilations = operation.integers("strides", 2), list(operation.integers("dilations", 2))
    pads = operation.integers("pads", 4)
    operation.check(min(pads) >= 0, "pads must not be negative")
    for axis, kernel in enumerate((kernel_height, kernel_width)):
        dilations[axis] = 1 if kernel == 1 else dilations[axis]
        padded = (height, width)[axis] + pads[axis] + pads[2 + axis]
        wanted = (padded - dilations[axis] * (kernel - 1) - 1) // strides[axis] + 1
        operation.check(target.tensor.shape[2 + axis] == wanted, "the output's shape is wrong")
    operation.check(target.tensor.shape[0] == batch, "the output's batch is not the input's")
    weight_type = _weight_type(operation, weight)
    shape = ConvolutionShape(
        batch,
        groups,
        group_inputs,
        outputs // groups,
        height,
        width,
        target.tensor.shape[2],
        target.tensor.shape[3],
        kernel_height,
        kernel_width,
        strides[0],
        dilations[0],
        source.type.size,
        weight_type.size,
        target.type.size,
    )
    _emit(operation, emitter, shape, weight, weight_type, (strides[1], dilations[1], pads[0], pads[1]))


def lower_gemm(operation: Operation, emitter: Emitter) -> None:
    """`gemm`: x [N, K], weight [O, K]; a convolution of one pixel."""
    source, target = operation.inputs[0], operation.output
    operation.check(len(source.tensor.shape) == 2 == len(target.tensor.shape), "gemm needs tensors of rank 2")
    batch, inner = source.tensor.shape
    weight = operation.constant("weight", (target.tensor.shape[1], inner))
    operation.check(target.tensor.shape[0] == batch, "the output's batch is not the input's")
    weight_type = _weight_type(operation, weight)
    sizes = (source.type.size, weight_type.size, target.type.size)
    shape = ConvolutionShape(batch, 1, inner, weight.shape[0], 1, 1, 1, 1, 1, 1, 1, 1, *sizes)
    _emit(operation, emitter, shape, weight, weight_type, (1, 1, 0, 0))


def _weight_type(
    operation: Operation, weight: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
) -> ElementType:
    low, high = int(weight.min()), int(weight.max())
    for kind in (ElementType.I8, ElementType.I16):
        if kind.low <= low and high <= kind.high:
            return kind
    raise operation.error("weights do not fit 16 bits")


def _emit(
    operation: Operation,
    emitter: Emitter,
    shape: ConvolutionShape,
    weight: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    weight_type: ElementType,
    window: tuple[int, int, int, int],
) -> None:
    """`window`: stride and dilation along the width, padding above and to the left."""
    setup = _setup(operation, shape, weight_type, window)
    narrow = np.ascontiguousarray(weight, dtype="<i2" if weight_type.size == 2 else "i1")
    filters = narrow.reshape(shape.groups * shape.group_outputs, -1).view(np.uint8)
    records = _records(operation, shape)
    layer = _Layer(shape, setup, window[2], operation.inputs[0], operation.output, filters, records)
    _emit_tiles(layer, emitter, plan_convolution(shape, emitter.capacity, emitter.rates))


def _setup(
    operation: Operation,
    shape: ConvolutionShape,
    weight_type: ElementType,
    window: tuple[int, int, int, int],
) -> ConvolutionSetup:
    stride_width, dilation_width, _, pad_left = window
    return ConvolutionSetup(
        input_type=operation.inputs[0].type,
        weight_type=weight_type,
        output_type=operation.output.type,
        kernel_height=shape.kernel_height,
        kernel_width=shape.kernel_width,
        stride_height=1 if shape.output_height == 1 else shape.stride_height,
        stride_width=1 if shape.output_width == 1 else stride_width,
        dilation_height=shape.dilation_height,
        dilation_width=dilation_width,
        input_step_height=1,
        input_step_width=1,
        pad_left=pad_left,
        input_width=shape.input_width,
        output_width=shape.output_width,
        group_inputs=shape.group_inputs,
        input_zero=operation.integer("input_zero"),
        output_zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )


def _records(
    operation: Operation, shape: ConvolutionShape
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Bias, multiplier and shift of each output channel; accumulators of 16-bit operands have 48 bits."""
    outputs = shape.groups * shape.group_outputs
    wide = max(shape.input_bytes, shape.weight_bytes) == 2
    bias_bytes, multiplier_bytes = (6, 2) if wide else (4, 4)
    bias_limit, multiplier_limit = 1 << (8 * bias_bytes - 1), 1 << (8 * multiplier_bytes - 1)
    bias, multiplier, shift = (
        operation.constant(role, (outputs,)) for role in ("bias", "multiplier", "shift")
    )
    columns = {
        "bias": (bias, bias_bytes, -bias_limit, bias_limit - 1),
        "multiplier": (multiplier, multiplier_bytes, 1 - multiplier_limit, multiplier_limit - 1),
        "shift": (shift, 1, *SHIFT),
    }
    return packed(operation, columns)


def _emit_tiles(layer: _Layer, emitter: Emitter, tiling: ConvolutionTiling) -> None:
    shape = layer.shape
    channels = list(_pack_channels(layer, emitter, tiling))
    spots = [
        (image, row) for image in range(shape.batch) for row in range(0, shape.output_height, tiling.rows)
    ]
    inputs = emitter.ring(tiling.input_buffers, tiling.input_size)
    weights = emitter.ring(tiling.weight_buffers, tiling.weight_size)
    outputs = emitter.ring(tiling.output_buffers, tiling.output_size)
    emitter.setup(layer.setup)
    order = (
        ((spot, part) for part in channels for spot in spots)
        if tiling.channels_outer
        else ((spot, part) for spot in spots for part in channels)
    )
    for (image, row), part in order:
        rows = min(tiling.rows, shape.output_height - row)
        low, high, pad_top = _input_rows(layer, row, rows)
        source, stale = inputs.fetch((image, row, part.group, part.groups))
        if stale and high > low:
            _load_rows(layer, emitter, source, image, part, low, high)
        filters, stale = weights.fetch(part)
        if stale:
            emitter.load_constants(part.address, part.size, filters)
        result = outputs.take()
        tile = Convolution(
            input=source.start if high > low else 0,
            input_slots=max(1, high - low),
            input_first=0,
            weights=filters.start,
            output=result.start,
            output_slots=rows,
            output_first=0,
            groups=part.groups,
            group_outputs=part.group_outputs,
            input_rows=high - low,
            output_rows=rows,
            pad_top=pad_top,
        )
        reads = (source, filters) if high > low else (filters,)
        cycles = shape.cycles(emitter.rates, part.groups, part.group_outputs, rows)
        emitter.compute(tile, reads, result, 0, cycles)
        _store_rows(layer, emitter, result, image, part, row, rows)


def _input_rows(layer: _Layer, row: int, rows: int) -> tuple[int, int, int]:
    """(first, end) of the input rows that `rows` output rows from `row` need, and the rows of padding above
    the first."""
    shape = layer.shape
    first = row * shape.stride_height - layer.pad_top
    span = window_span(rows, shape.stride_height, shape.dilation_height, shape.kernel_height)
    low = min(max(0, first), shape.input_height)
    high = max(low, min(shape.input_height, first + span))
    return low, high, min(low - first, span)


def _pack_channels(layer: _Layer, emitter: Emitter, tiling: ConvolutionTiling) -> Iterator[_Channels]:
    shape = layer.shape
    for group in range(0, shape.groups, tiling.groups):
        groups = min(tiling.groups, shape.groups - group)
        for start in range(0, shape.group_outputs, tiling.group_outputs):
            count = min(tiling.group_outputs, shape.group_outputs - start)
            first = group * shape.group_outputs + start
            last = first + (groups * count)
            data = layer.weight[first:last].tobytes() + layer.records[first:last].tobytes()
            assert len(data) == groups * count * (layer.weight.shape[1] + RECORD_BYTES)
            yield _Channels(group, groups, first, count, emitter.add_constants(data), len(data))


def _load_rows(
    layer: _Layer, emitter: Emitter, to: Buffer, image: int, part: _Channels, low: int, high: int
) -> None:
    shape = layer.shape
    line = shape.input_width * shape.input_bytes
    plane = shape.input_height * line
    channel = part.group * shape.group_inputs
    offset = (image * shape.groups * shape.group_inputs + channel) * plane + low * line
    count = part.groups * shape.group_inputs
    rows = high - low
    emitter.load(layer.source, offset, line, [(count, plane, rows * line), (rows, line, line)], to)


def _store_rows(
    layer: _Layer, emitter: Emitter, source: Buffer, image: int, part: _Channels, row: int, rows: int
) -> None:
    shape = layer.shape
    line = shape.output_width * shape.output_bytes
    plane = shape.output_height * line
    offset = (image * shape.groups * shape.group_outputs + part.first) * plane + row * line
    count = part.groups * part.group_outputs
    emitter.store(source, layer.target, offset, line, [(count, plane, rows * line), (rows, line, line)])
