"""Sums and products of two tensors, rescaling, tables and fills on one tile."""

from __future__ import annotations

import numpy as np

from modelbuild.npu.program import ElementType
from modelbuild.npu.program.setups import BinarySetup, CurveSetup, RescaleSetup, TableSetup
from modelbuild.npu.program.tiles import Binary, Curve, Rescale, Table
from modelbuild.npu.program.transfers import Fill
from modelbuild.npu.simulator.maps import TileMaps
from modelbuild.npu.simulator.memory import DTYPES, Int64, Memory, failure
from modelbuild.npu.simulator.scaling import (
    Scaling,
    centred_map,
    magnitude,
    read_records,
    read_scaling,
    rescale,
    rounding,
    saturate,
    signed,
    unsigned,
)


def run_fill(tile: Fill, setup: None, sram: Memory) -> None:
    """One value many times."""
    kind = ElementType(tile.output_type)
    sram.write(tile.output, np.full(tile.count, tile.value, DTYPES[kind]), kind)


def run_binary(tile: Binary, setup: BinarySetup, maps: TileMaps, sram: Memory) -> None:
    """Addition or multiplication with broadcasting."""
    operands = maps.inputs
    zeros = (setup.input_zero, setup.other_zero)
    a, b = (centred_map(sram, *pair) for pair in zip(operands, zeros, strict=True))
    if setup.function == 0:
        y = _sum(a, b, tile, sram)
    else:
        y = rescale(a * b, read_scaling(sram, tile.parameters), magnitude(a) * magnitude(b))
    if y.shape != (tile.planes, tile.rows, tile.columns):
        raise failure("both operands of an operator are broadcast along the same axis")
    values = saturate(y, setup.output_zero, setup.low, setup.high, setup.output_type)
    sram.write_map(maps.output, values)


def _sum(a: Int64, b: Int64, tile: Binary, sram: Memory) -> Int64:
    record = read_records(sram, tile.parameters, 1, 9)
    shift = unsigned(record, 8, 1)
    first, second = Scaling(signed(record, 0, 4), shift), Scaling(signed(record, 4, 4), shift)
    y = a * first.multiplier + b * second.multiplier  # 17 bits by 31 bits each: far from 63
    y += rounding(shift)
    y >>= shift
    return y


def run_rescale(tile: Rescale, setup: RescaleSetup, maps: TileMaps, sram: Memory) -> None:
    """A multiplier and shift a channel for each sign."""
    (place,) = maps.inputs
    x = centred_map(sram, place, setup.input_zero)
    records = read_records(sram, tile.parameters, tile.planes, 10)
    positive = Scaling(signed(records, 0, 4), unsigned(records, 4, 1)).reshape(-1, 1, 1)
    negative = Scaling(signed(records, 5, 4), unsigned(records, 9, 1)).reshape(-1, 1, 1)
    peak = magnitude(x)
    y = np.where(x >= 0, rescale(x, positive, peak), rescale(x, negative, peak))
    values = saturate(y, setup.output_zero, setup.low, setup.high, setup.output_type)
    sram.write_map(maps.output, values)


def run_table(tile: Table, setup: TableSetup, maps: TileMaps, sram: Memory) -> None:
    """A look-up of each element."""
    kind = ElementType(setup.output_type)
    (place,) = maps.inputs
    index = centred_map(sram, place, setup.input_low)
    if (index < 0).any() or (index > 255).any():
        raise failure("a look-up lies outside its table")
    sram.write_map(maps.output, sram.read(tile.parameters, 256, kind)[index])


def run_curve(tile: Curve, setup: CurveSetup, maps: TileMaps, sram: Memory) -> None:
    """The parabola of each element's segment: value + (slope + bend * d) * d, each product over a segment."""
    (place,) = maps.inputs
    steps = centred_map(sram, place, setup.start)
    records = read_records(sram, tile.parameters, setup.segments, 12)
    segment = steps >> setup.segment_bits
    within = steps - (segment << setup.segment_bits)
    one_segment = Scaling(np.array(1), np.array(setup.segment_bits))
    y = np.zeros(steps.shape, np.int64)
    for start in (8, 4, 0):  # bend, slope, value
        y = signed(records, start, 4)[segment] + rescale(y * within, one_segment)
    y = rescale(y, Scaling(np.array(1), np.array(12)))
    values = saturate(y, setup.output_zero, setup.low, setup.high, setup.output_type)
    sram.write_map(maps.output, values)
