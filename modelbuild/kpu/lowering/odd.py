"""Convolutions of stride 2 whose windows have their centres in odd rows or columns, as TensorFlow pads them
(0, 0, 1, 1). The pool that picks one cell of four keeps even rows; of columns, either. Odd rows become even
ones where a layer of its own lays the map beside itself, one row further up: the window takes its last row of
taps from there. Else the CPU lays cells around the map, and cuts some off what is made of it."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.chips.recipe import Hardware
from modelbuild.formats.kmodel.kpu_geometry import LEAST
from modelbuild.formats.kmodel.kpu_registers import shape_bytes
from modelbuild.graph.taps import Axis, Window
from modelbuild.kpu.cycles import array_cycles, upload_fact, written_cycles
from modelbuild.kpu.lowering.dividing import emit_layer
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.strided import PICKED, SECONDS_A_BYTE
from modelbuild.kpu.lowering.unit import beside_itself

Map = tuple[int, ...]
Weights = NDArray[np.integer]
_TAPS = 3


class Odd(NamedTuple):
    """Such a convolution from `x` to `y`, both [N, C, H, W]. `axes`: of the layer that it is with the CPU's
    help; `rows`, `columns`: whether their centres are odd. `held`: x is in the KPU's RAM already, `stays`: a
    layer alone reads what is made."""

    x: Map
    y: Map
    axes: tuple[Axis, Axis]
    rows: bool
    columns: bool
    held: bool
    stays: bool

    @property
    def source(self) -> Map:
        """What the layer reads."""
        batches, channels, *size = self.x
        return (batches, 2 * channels if self.rows else channels, *size)


def centres(size: Map, out: Map, window: Window, axes: tuple[Axis, Axis]) -> tuple[bool, bool] | None:
    """Whether those of rows and columns are odd; None where the KPU cannot pick them, or need not."""
    if min(size) < LEAST:
        return None
    found = []
    for axis, cells, count, taps, pad in zip(axes, size, out, window.kernel, window.pads, strict=False):
        as_it_is = axis.is_whole and axis.size == cells and not any(run.start for run in axis.runs)
        if not as_it_is and (taps, pad, cells) != (_TAPS, 0, 2 * count):
            return None
        found.append(not as_it_is)
    rows, columns = found
    return (rows, columns) if rows or columns else None


def pays(of: Odd, hardware: Hardware) -> bool:
    """Whether it takes less time than the CPU's help, with what more bytes of the file are worth."""
    outputs, layers = of.y[1], [(of.source, of.y)]
    more = _TAPS**2 * outputs * (of.source[1] - of.x[1])
    cycles = _cycles(of.source, outputs) - _cycles((*of.x[:2], *(axis.size for axis in of.axes)), outputs)
    if of.rows:
        layers.append((of.x, of.source))
        more += _TAPS**2 * of.x[1] * of.source[1]
        cycles += _cycles(of.x, of.source[1]) + hardware.layer_overhead_cycles.value
    if max(shape_bytes(read) + shape_bytes(made) for read, made in layers) > hardware.sram_bytes.value:
        return False
    cost = cycles / hardware.clock_hz.value + more * (of.x[0] / hardware.weight_bytes_per_second.value)
    return _saved(of, hardware) > cost + more * SECONDS_A_BYTE


def _saved(of: Odd, hardware: Hardware) -> float:
    """Seconds of the CPU for cells around the map, and for those of the result that it keeps."""
    cpu = hardware.cpu_hz.value * hardware.cpu_operations_per_cycle.value
    padded, left = prod((*of.x[:2], *(axis.size for axis in of.axes))), prod(of.y)
    made = prod((*of.y[:2], *(axis.made for axis in of.axes)))
    down = made if of.stays else made - left
    seconds = (padded + left) * PICKED / cpu
    if of.held:
        down += prod(of.x)
        seconds += padded / _upload(of.axes[1].size, hardware)
    if of.stays:
        seconds += left / _upload(of.y[3], hardware)
    return seconds + down / hardware.dram_write_bytes_per_second.value


def _upload(width: int, hardware: Hardware) -> float:
    return float(getattr(hardware, upload_fact(width, hardware)).value)


def _cycles(source: Map, outputs: int) -> float:
    return array_cycles(source, outputs, False) + written_cycles(source, outputs)


def laid(
    lowering: Lowering, x: QuantizedTensor, weight: Weights, of: Odd
) -> tuple[QuantizedTensor, Weights, str]:
    """The map that the layer reads, its weights, and the pool that picks."""
    rows, columns = of.axes
    across = [(tap, tap) for tap in range(_TAPS)] if of.columns else _places(columns)
    if not of.rows:
        return x, _placed(weight, _places(rows), across), _pool(of)
    key = ("beside itself", x.name)
    if key not in lowering.made:
        lowering.made[key] = lowering.between(x, of.source, "beside")
        emit_layer(lowering, beside_itself(x, lowering.step), lowering.made[key])
    parts = [_placed(weight, down, across) for down in ([(0, 1), (1, 2)], [(2, 2)])]
    return lowering.made[key], np.concatenate(parts, axis=1), _pool(of)


def _pool(of: Odd) -> str:
    return "right_top_2_s2" if of.columns else "left_top_2_s2"


def _places(axis: Axis) -> list[tuple[int, int]]:
    """Of each tap its place in a window of 3."""
    return [(tap, place + 1) for run in axis.runs for tap, place in run.taps]


def _placed(weight: Weights, rows: list[tuple[int, int]], columns: list[tuple[int, int]]) -> Weights:
    """The taps at their places in windows of 3x3, zeros elsewhere."""
    found = np.zeros((*weight.shape[:2], _TAPS, _TAPS), weight.dtype)
    for row, down in rows:
        for column, across in columns:
            found[:, :, down, across] = weight[:, :, row, column]
    return found
