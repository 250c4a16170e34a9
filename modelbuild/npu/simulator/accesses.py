"""What each instruction touches and what it costs, from its decoded fields alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from modelbuild.npu.program import ElementType, Instruction, Rates
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.transfers import Fill, Load, LoadConstants, Store, Transfer
from modelbuild.npu.simulator.convolution import turns
from modelbuild.npu.simulator.maps import Stretch, TileMaps, operand_extents, tile_maps
from modelbuild.npu.simulator.pooling import pool_windows, pool_work
from modelbuild.npu.simulator.work import convolution_cycles, cycles, matmul_cycles, round_up

TAP = 1 << 11  # elements that take a simulator as long as one tap of a window, whatever its size
GROUP = 1 << 7  # and as long as one group of a convolution


@dataclass(frozen=True)
class Access:
    """An instruction's engine, what simulating it takes (multiply-accumulates, elements or bytes), the cycles
    that it takes, the stretches of SRAM that it reads and writes, and the maps among them."""

    engine: str
    work: int
    cycles: int
    reads: tuple[Stretch, ...]
    writes: tuple[Stretch, ...]
    maps: TileMaps | None = None


def access(instruction: Instruction, setup: Any, rates: Rates) -> Access:
    """Of a transfer, a fill, or a tile under its setup."""
    if isinstance(instruction, Transfer):
        return _transfer(instruction, rates)
    work, taken, parameters = _TILES[type(instruction)](instruction, setup, rates)
    if getattr(setup, "stage", 0):
        taken = 0
    reads, writes, maps = _touched(instruction, setup)
    touched = (*reads, *parameters, *writes)
    work += sum(stretch.moved for stretch in touched)
    return Access("compute", work, taken, (*reads, *parameters), writes, maps)


def _touched(
    instruction: Instruction, setup: Any
) -> tuple[Sequence[Stretch], tuple[Stretch, ...], TileMaps | None]:
    """What a tile reads, less its parameters, what it writes, and its maps."""
    maps = tile_maps(instruction, setup)
    if maps is None:
        return *_DENSE[type(instruction)](instruction, setup), None
    return [each for place in maps.inputs for each in place.stretches()], maps.output.stretches(), maps


def takes_time(instruction: Instruction) -> bool:
    """False for setups and control."""
    return isinstance(instruction, Transfer) or type(instruction) in _TILES


def _transfer(transfer: Transfer, rates: Rates) -> Access:
    touched = (
        Stretch(
            transfer.sram,
            transfer.length,
            tuple((loop.count, loop.sram_stride) for loop in transfer.loops),
        ),
    )
    runs = math.prod(loop.count for loop in transfer.loops)
    moved = runs * transfer.length
    work = moved + touched[0].span  # gaps are looked at, too
    if isinstance(transfer, LoadConstants):
        taken = cycles(runs * transfer.stored, rates.weight_bytes)
        return Access("weights", work + transfer.stored, taken, (), touched)
    padded = runs * round_up(transfer.length, rates.row_alignment)
    if isinstance(transfer, Store):
        return Access("write", work, cycles(padded, rates.write_bytes), touched, ())
    assert isinstance(transfer, Load)
    return Access("read", work, cycles(padded, rates.read_bytes), (), touched)


def _size(kind: int) -> int:
    return ElementType(kind).size


_Cost = tuple[int, int, tuple[Stretch, ...]]  # work, cycles, parameters that are read


def _elements(count: int, rates: Rates, *parameters: tuple[int, int]) -> _Cost:
    stretches = tuple(Stretch(address, size) for address, size in parameters)
    return count, cycles(count, rates.elements), stretches


def _fill(tile: Fill, setup: None, rates: Rates) -> _Cost:
    return _elements(tile.count, rates)


def _convolution(tile: t.Convolution, setup: s.ConvolutionSetup, rates: Rates) -> _Cost:
    channels = tile.groups * tile.group_outputs
    weights = setup.group_inputs * setup.kernel_height * setup.kernel_width
    work = channels * tile.output_rows * setup.output_width * weights
    parameters = Stretch(tile.weights, channels * (weights * _size(setup.weight_type) + 9))
    work += TAP * turns(tile, setup) + GROUP * tile.groups
    return work, convolution_cycles(tile, setup, rates), (parameters,)


def _pool(
    tile: t.MaxPool | t.AveragePool,
    setup: s.MaxPoolSetup | s.AveragePoolSetup,
    rates: Rates,
    *parameters: tuple[int, int],
) -> _Cost:
    """One axis, then the other: each tap that sees a cell is one pass."""
    cells = max(tile.output_rows * setup.output_width, tile.input_rows * setup.input_width)
    passed, gone_through = pool_work(*pool_windows(tile, setup))
    _, taken, stretches = _elements(tile.channels * cells, rates, *parameters)
    return tile.channels * (cells + passed) + TAP * gone_through, taken, stretches


def _max_pool(tile: t.MaxPool, setup: s.MaxPoolSetup, rates: Rates) -> _Cost:
    return _pool(tile, setup, rates)


def _average_pool(tile: t.AveragePool, setup: s.AveragePoolSetup, rates: Rates) -> _Cost:
    return _pool(tile, setup, rates, (tile.parameters, setup.entries * 9))


def _cells(tile: t.Binary | t.Rescale | t.Table | t.Curve) -> int:
    return tile.planes * tile.rows * tile.columns


def _binary(tile: t.Binary, setup: s.BinarySetup, rates: Rates) -> _Cost:
    read = sum(math.prod(operand_extents(tile, setup, operand)) for operand in (0, 1))
    return _elements(max(read, _cells(tile)), rates, (tile.parameters, 5 if setup.function else 9))


def _rescale(tile: t.Rescale, setup: s.RescaleSetup, rates: Rates) -> _Cost:
    return _elements(_cells(tile), rates, (tile.parameters, tile.planes * 10))


def _table(tile: t.Table, setup: s.TableSetup, rates: Rates) -> _Cost:
    return _elements(_cells(tile), rates, (tile.parameters, 256 * _size(setup.output_type)))


def _curve(tile: t.Curve, setup: s.CurveSetup, rates: Rates) -> _Cost:
    return _elements(_cells(tile), rates, (tile.parameters, 12 * setup.segments))


def _matmul(tile: t.Matmul, setup: s.MatmulSetup, rates: Rates) -> _Cost:
    work = tile.rows * tile.columns * setup.inner
    return work, matmul_cycles(tile, setup, rates), (Stretch(tile.parameters, 5),)


def _reduce_sum(tile: t.ReduceSum, setup: s.ReduceSumSetup, rates: Rates) -> _Cost:
    return _elements(tile.rows * setup.length, rates, (tile.parameters, 5))


def _reduce_max(tile: t.ReduceMax, setup: s.ReduceMaxSetup, rates: Rates) -> _Cost:
    return _elements(tile.rows * setup.length, rates)


def _softmax(tile: t.Softmax, setup: s.SoftmaxSetup, rates: Rates) -> _Cost:
    table = (1 + 256 * _size(setup.input_type)) * 4
    return _elements(tile.rows * setup.length, rates, (tile.parameters, table))


def _resize(tile: t.Resize, setup: s.ResizeSetup, rates: Rates) -> _Cost:
    outputs = tile.channels * tile.output_rows * setup.output_width
    tables = ((tile.row_table, tile.output_rows * 8), (tile.column_table, setup.output_width * 8))
    _, taken, stretches = _elements(outputs, rates, *tables)
    between = min(tile.output_rows * setup.input_width, tile.input_rows * setup.output_width)
    return outputs + tile.channels * between, taken, stretches


_TILES: dict[type[Instruction], Callable[[Any, Any, Rates], _Cost]] = {
    Fill: _fill,
    t.Convolution: _convolution,
    t.MaxPool: _max_pool,
    t.AveragePool: _average_pool,
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


_Touched = tuple[list[Stretch], tuple[Stretch, ...]]


def _fill_touches(tile: Fill, setup: None) -> _Touched:
    return [], (Stretch(tile.output, tile.count * _size(tile.output_type)),)


def _matmul_touches(tile: t.Matmul, setup: s.MatmulSetup) -> _Touched:
    left = Stretch(tile.input, tile.rows * setup.inner * _size(setup.input_type))
    right = Stretch(tile.other, tile.columns * setup.inner * _size(setup.other_type))
    written = Stretch(tile.output, tile.rows * tile.columns * _size(setup.output_type))
    return [left, right], (written,)


def _reduce_touches(tile: Any, setup: Any) -> _Touched:
    read = Stretch(tile.input, tile.rows * setup.length * _size(setup.input_type))
    kind = getattr(setup, "output_type", setup.input_type)
    return [read], (Stretch(tile.output, tile.rows * _size(kind)),)


def _softmax_touches(tile: t.Softmax, setup: s.SoftmaxSetup) -> _Touched:
    count = tile.rows * setup.length
    read = Stretch(tile.input, count * _size(setup.input_type))
    return [read], (Stretch(tile.output, count * _size(setup.output_type)),)


_DENSE: dict[type[Instruction], Callable[[Any, Any], _Touched]] = {
    Fill: _fill_touches,
    t.Matmul: _matmul_touches,
    t.ReduceSum: _reduce_touches,
    t.ReduceMax: _reduce_touches,
    t.Softmax: _softmax_touches,
}
