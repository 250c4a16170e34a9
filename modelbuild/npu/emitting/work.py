"""Cycles of one instruction on the compiler's side, from what it computes: integers only.

The simulator counts the same from decoded bytes, with code of its own; both follow docs/program-format.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Literal

from modelbuild.npu.program import Rates
from modelbuild.npu.program.header import RATE_CYCLES

ArrayKind = Literal["window", "pointwise", "depthwise"]
Extents = tuple[int, int, int]  # planes, rows, columns


@dataclass(frozen=True)
class ConvolutionTile:
    """A tile of a convolution: `rows` x `columns` of the output, of `groups` x `group_outputs` channels.

    `wide` says that the input or the weights have 16 bits. Where zeros are inserted into the input nothing
    changes: the array runs over every tap of every output.
    """

    kernel_height: int
    kernel_width: int
    groups: int
    group_inputs: int
    group_outputs: int
    rows: int
    columns: int
    wide: bool = False

    @property
    def kind(self) -> ArrayKind:
        """Which of the array's three rates counts."""
        if self.group_inputs == 1 and (self.groups > 1 or self.group_outputs == 1):
            return "depthwise"
        return "pointwise" if self.kernel_height == self.kernel_width == 1 else "window"

    @property
    def outputs(self) -> int:
        """Cells of the output."""
        return self.groups * self.group_outputs * self.rows * self.columns


def up(count: int, multiple: int) -> int:
    """The least multiple that is not below `count`."""
    return -(-count // multiple) * multiple


def cycles(work: int, rate: int) -> int:
    """Whole cycles that `work` takes at `rate` in RATE_CYCLES cycles."""
    return -(-work * RATE_CYCLES // rate)


def array_work(tile: ConvolutionTile, rates: Rates) -> int:
    """Multiply-accumulates with the array's idle lanes: extents rounded up to what it takes at once."""
    pixels = up(tile.rows * up(tile.columns, rates.columns), rates.pixels)
    taps = 1
    if (tile.kernel_height, tile.kernel_width) != (1, 1):
        taps = up(tile.kernel_height, rates.window_rows) * up(tile.kernel_width, rates.window_columns)
    if tile.kind == "depthwise":
        return pixels * taps * up(tile.groups * tile.group_outputs, rates.output_channels)
    few = tile.group_inputs <= rates.few_channels
    at_once = min(rates.few_channels, rates.input_channels) if few else rates.input_channels
    inputs = up(tile.group_inputs, at_once)
    return pixels * taps * inputs * up(tile.group_outputs, rates.output_channels) * tile.groups


def convolution_cycles(tile: ConvolutionTile, rates: Rates) -> int:
    """The array's cycles, or those of its outputs where they take longer to leave it."""
    by_kind = {
        "window": rates.macs,
        "pointwise": rates.macs_pointwise,
        "depthwise": rates.macs_depthwise,
    }
    rate = _at_width(by_kind[tile.kind], tile.wide, rates)
    return max(cycles(array_work(tile, rates), rate), cycles(tile.outputs, rates.outputs))


def matmul_cycles(rows: int, inner: int, columns: int, wide: bool, rates: Rates) -> int:
    """Of a matrix product [rows, inner] by [inner, columns]: nothing is rounded up."""
    rate = _at_width(rates.macs_pointwise, wide, rates)
    return max(cycles(rows * inner * columns, rate), cycles(rows * columns, rates.outputs))


def pool_cells(channels: int, outputs: tuple[int, int], inputs: tuple[int, int]) -> int:
    """The cells that a tile of a max or average pool costs: of its inputs or of its outputs, each as (rows,
    columns), whichever are more."""
    return channels * max(outputs[0] * outputs[1], inputs[0] * inputs[1])


def binary_cells(output: Extents, input_: Extents, other: Extents) -> int:
    """The cells that a tile of an addition or multiplication costs: of both operands (their extent is 1 where
    they are broadcast), or of its output if they are more."""
    return max(prod(output), prod(input_) + prod(other))


def element_cycles(cells: int, rates: Rates) -> int:
    """Of everything that is no product: `cells` outputs, or what `pool_cells` and `binary_cells` say, or the
    inputs of reductions and Softmax."""
    return cycles(cells, rates.elements)


def moved_bytes(runs: Iterable[tuple[int, int]], row_alignment: int) -> int:
    """What a load or a store costs: `runs` are (how many, bytes each) of what lies together in memory."""
    return sum(count * up(length, row_alignment) for count, length in runs)


def load_cycles(runs: Iterable[tuple[int, int]], rates: Rates) -> int:
    """Of a load from DRAM to SRAM."""
    return cycles(moved_bytes(runs, rates.row_alignment), rates.read_bytes)


def store_cycles(runs: Iterable[tuple[int, int]], rates: Rates) -> int:
    """Of a store from SRAM to DRAM."""
    return cycles(moved_bytes(runs, rates.row_alignment), rates.write_bytes)


def constants_cycles(stored: int, rates: Rates) -> int:
    """Of a load of `stored` bytes of the weights section."""
    return cycles(stored, rates.weight_bytes)


def _at_width(rate: int, wide: bool, rates: Rates) -> int:
    return max(1, rate * rates.wide_macs // RATE_CYCLES) if wide else rate
