"""What each instruction touches and how much work it is, from its decoded fields alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelbuild.npu.program import ElementType, Instruction, Rates
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.transfers import Fill, Load, LoadConstants, Store, Transfer
from modelbuild.npu.simulator.elementwise import operand_extents

Range = tuple[int, int]  # address in SRAM, bytes


@dataclass(frozen=True)
class Access:
    """An instruction's engine, its work at a rate, and the stretches of SRAM that it reads and writes."""

    engine: str
    work: int
    rate: int
    reads: tuple[Range, ...]
    writes: tuple[Range, ...]


def access(instruction: Instruction, setup: Any, rates: Rates) -> Access:
    """Of a transfer, a fill, or a tile under its setup."""
    if isinstance(instruction, Transfer):
        return _transfer(instruction, rates)
    return _TILES[type(instruction)](instruction, setup, rates)


def takes_time(instruction: Instruction) -> bool:
    """False for setups and control."""
    return isinstance(instruction, Transfer) or type(instruction) in _TILES


def _transfer(transfer: Transfer, rates: Rates) -> Access:
    counts = [loop.count for loop in transfer.loops]
    span = sum((loop.count - 1) * loop.sram_stride for loop in transfer.loops) + transfer.length
    touched = ((transfer.sram, span),)
    work = math.prod(counts) * transfer.length
    if isinstance(transfer, Store):
        return Access("write", work, rates.write_bytes, touched, ())
    if isinstance(transfer, Load):
        return Access("read", work, rates.read_bytes, (), touched)
    assert isinstance(transfer, LoadConstants)
    return Access("weights", work, rates.weight_bytes, (), touched)


def _size(kind: int) -> int:
    return ElementType(kind).size


def _fill(tile: Fill, setup: None, rates: Rates) -> Access:
    written = ((tile.output, tile.count * _size(tile.output_type)),)
    return Access("compute", tile.count, rates.elements, (), written)


def _convolution(tile: t.Convolution, setup: s.ConvolutionSetup, rates: Rates) -> Access:
    channels = tile.groups * tile.group_outputs
    taps = setup.kernel_height * setup.kernel_width
    outputs = channels * tile.output_rows * setup.output_width
    filter_bytes = setup.group_inputs * taps * _size(setup.weight_type) + 9
    inputs = tile.groups * setup.group_inputs * tile.input_rows * setup.input_width
    if setup.group_inputs == 1 and (tile.groups > 1 or tile.group_outputs == 1):
        rate = rates.macs_depthwise
    else:
        rate = rates.macs_pointwise if taps == 1 else rates.macs
    reads = [(tile.weights, channels * filter_bytes)]
    if inputs:
        reads.append((tile.input, inputs * _size(setup.input_type)))
    written = ((tile.output, outputs * _size(setup.output_type)),)
    return Access("compute", outputs * setup.group_inputs * taps, rate, tuple(reads), written)


def _pool(
    tile: t.MaxPool | t.AveragePool, setup: s.MaxPoolSetup | s.AveragePoolSetup, rates: Rates
) -> Access:
    outputs = tile.channels * tile.output_rows * setup.output_width
    inputs = tile.channels * tile.input_rows * setup.input_width
    reads = [(tile.input, inputs * _size(setup.input_type))]
    output_type = setup.input_type
    if isinstance(tile, t.AveragePool) and isinstance(setup, s.AveragePoolSetup):
        reads.append((tile.parameters, setup.entries * 9))
        output_type = setup.output_type
    written = ((tile.output, outputs * _size(output_type)),)
    return Access("compute", outputs, rates.elements, tuple(reads), written)


def _binary(tile: t.Binary, setup: s.BinarySetup, rates: Rates) -> Access:
    sizes = [math.prod(operand_extents(tile, setup, operand)) for operand in (0, 1)]
    outputs = tile.planes * tile.rows * tile.columns
    reads = (
        (tile.input, sizes[0] * _size(setup.input_type)),
        (tile.other, sizes[1] * _size(setup.other_type)),
        (tile.parameters, 5 if setup.function else 9),
    )
    written = ((tile.output, outputs * _size(setup.output_type)),)
    return Access("compute", outputs, rates.elements, reads, written)


def _rescale(tile: t.Rescale, setup: s.RescaleSetup, rates: Rates) -> Access:
    count = tile.channels * tile.count
    reads = ((tile.input, count * _size(setup.input_type)), (tile.parameters, tile.channels * 10))
    written = ((tile.output, count * _size(setup.output_type)),)
    return Access("compute", count, rates.elements, reads, written)


def _table(tile: t.Table, setup: s.TableSetup, rates: Rates) -> Access:
    reads = ((tile.input, tile.count), (tile.parameters, 256 * _size(setup.output_type)))
    written = ((tile.output, tile.count * _size(setup.output_type)),)
    return Access("compute", tile.count, rates.elements, reads, written)


def _curve(tile: t.Curve, setup: s.CurveSetup, rates: Rates) -> Access:
    reads = ((tile.input, tile.count * 2), (tile.parameters, 12 * setup.segments))
    written = ((tile.output, tile.count * _size(setup.output_type)),)
    return Access("compute", tile.count, rates.elements, reads, written)


def _matmul(tile: t.Matmul, setup: s.MatmulSetup, rates: Rates) -> Access:
    outputs = tile.rows * tile.columns
    reads = (
        (tile.input, tile.rows * setup.inner * _size(setup.input_type)),
        (tile.other, tile.columns * setup.inner * _size(setup.other_type)),
        (tile.parameters, 5),
    )
    written = ((tile.output, outputs * _size(setup.output_type)),)
    return Access("compute", outputs * setup.inner, rates.macs_pointwise, reads, written)


def _reduce_sum(tile: t.ReduceSum, setup: s.ReduceSumSetup, rates: Rates) -> Access:
    inputs = tile.rows * setup.length
    reads = ((tile.input, inputs * _size(setup.input_type)), (tile.parameters, 5))
    written = ((tile.output, tile.rows * _size(setup.output_type)),)
    return Access("compute", inputs, rates.elements, reads, written)


def _reduce_max(tile: t.ReduceMax, setup: s.ReduceMaxSetup, rates: Rates) -> Access:
    inputs, size = tile.rows * setup.length, _size(setup.input_type)
    written = ((tile.output, tile.rows * size),)
    return Access("compute", inputs, rates.elements, ((tile.input, inputs * size),), written)


def _softmax(tile: t.Softmax, setup: s.SoftmaxSetup, rates: Rates) -> Access:
    count, size = tile.rows * setup.length, _size(setup.input_type)
    reads = ((tile.input, count * size), (tile.parameters, (1 + 256 * size) * 4))
    written = ((tile.output, count * _size(setup.output_type)),)
    return Access("compute", count, rates.elements, reads, written)


def _resize(tile: t.Resize, setup: s.ResizeSetup, rates: Rates) -> Access:
    size = _size(setup.input_type)
    outputs = tile.channels * tile.output_rows * setup.output_width
    inputs = tile.channels * tile.input_rows * setup.input_width
    reads = (
        (tile.input, inputs * size),
        (tile.row_table, tile.output_rows * 8),
        (tile.column_table, setup.output_width * 8),
    )
    return Access("compute", outputs, rates.elements, reads, ((tile.output, outputs * size),))


_TILES: dict[type[Instruction], Callable[[Any, Any, Rates], Access]] = {
    Fill: _fill,
    t.Convolution: _convolution,
    t.MaxPool: _pool,
    t.AveragePool: _pool,
    t.Binary: _binary,
    t.Rescale: _rescale,
    t.Table: _table,
    t.Curve: _curve,
    t.Matmul: _matmul,
    t.ReduceSum: _reduce_sum,
    t.ReduceMax: _reduce_max,
    t.Softmax: _softmax,
    t.Resize: _resize,
}
