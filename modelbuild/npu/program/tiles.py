"""Tiles: one step of the array on SRAM, under the setup that stands before it.

Where a tile names `slots` and `first`, row r of a plane lies in slot (first + r) % slots of that plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modelbuild.npu.program.encoding import Instruction, address, count, encoded, extent


@dataclass(frozen=True, slots=True)
class Convolution(Instruction):
    """`groups` groups of `group_outputs` channels, `output_rows` rows; `pad_top` rows lie above the tile."""

    opcode: ClassVar[int] = 0x21
    input: int = address()
    input_slots: int = extent()
    input_first: int = count()
    weights: int = address()
    output: int = address()
    output_slots: int = extent()
    output_first: int = count()
    groups: int = extent()
    group_outputs: int = extent()
    input_rows: int = count()
    output_rows: int = extent()
    pad_top: int = encoded("I", 0, 2**31 - 1)


@dataclass(frozen=True, slots=True)
class MaxPool(Instruction):
    """The largest cell of each window inside the tile."""

    opcode: ClassVar[int] = 0x23
    input: int = address()
    input_slots: int = extent()
    input_first: int = count()
    output: int = address()
    output_slots: int = extent()
    output_first: int = count()
    channels: int = extent()
    input_rows: int = extent()
    output_rows: int = extent()
    pad_top: int = count()


@dataclass(frozen=True, slots=True)
class AveragePool(Instruction):
    """Sums of windows over the number of cells that count."""

    opcode: ClassVar[int] = 0x25
    input: int = address()
    input_slots: int = extent()
    input_first: int = count()
    parameters: int = address()
    output: int = address()
    output_slots: int = extent()
    output_first: int = count()
    channels: int = extent()
    input_rows: int = extent()
    output_rows: int = extent()
    pad_top: int = count()
    counted_rows: int = extent()


@dataclass(frozen=True, slots=True)
class Binary(Instruction):
    """A tile of `planes` x `rows` x `columns` outputs."""

    opcode: ClassVar[int] = 0x27
    input: int = address()
    input_slots: int = extent()
    input_first: int = count()
    other: int = address()
    other_slots: int = extent()
    other_first: int = count()
    parameters: int = address()
    output: int = address()
    output_slots: int = extent()
    output_first: int = count()
    planes: int = extent()
    rows: int = extent()
    columns: int = extent()


@dataclass(frozen=True, slots=True)
class Rescale(Instruction):
    """A tile of cells; each plane has a scaling for values >= 0 and one for those below."""

    opcode: ClassVar[int] = 0x29
    input: int = address()
    input_slots: int = extent()
    input_first: int = count()
    parameters: int = address()
    output: int = address()
    output_slots: int = extent()
    output_first: int = count()
    planes: int = extent()
    rows: int = extent()
    columns: int = extent()


@dataclass(frozen=True, slots=True)
class Table(Instruction):
    """A look-up of each cell in 256 entries of the output's type."""

    opcode: ClassVar[int] = 0x2B
    input: int = address()
    input_slots: int = extent()
    input_first: int = count()
    parameters: int = address()
    output: int = address()
    output_slots: int = extent()
    output_first: int = count()
    planes: int = extent()
    rows: int = extent()
    columns: int = extent()


@dataclass(frozen=True, slots=True)
class Curve(Instruction):
    """A value of a parabola for each cell, a record of three numbers a segment."""

    opcode: ClassVar[int] = 0x37
    input: int = address()
    input_slots: int = extent()
    input_first: int = count()
    parameters: int = address()
    output: int = address()
    output_slots: int = extent()
    output_first: int = count()
    planes: int = extent()
    rows: int = extent()
    columns: int = extent()


@dataclass(frozen=True, slots=True)
class Matmul(Instruction):
    """`rows` x `inner` times `inner` x `columns`."""

    opcode: ClassVar[int] = 0x2D
    input: int = address()
    other: int = address()
    parameters: int = address()
    output: int = address()
    rows: int = extent()
    columns: int = extent()


@dataclass(frozen=True, slots=True)
class ReduceSum(Instruction):
    """`rows` sums of `length` elements each."""

    opcode: ClassVar[int] = 0x2F
    input: int = address()
    parameters: int = address()
    output: int = address()
    rows: int = extent()


@dataclass(frozen=True, slots=True)
class ReduceMax(Instruction):
    """The largest of each of `rows` rows of `length` elements."""

    opcode: ClassVar[int] = 0x31
    input: int = address()
    output: int = address()
    rows: int = extent()


@dataclass(frozen=True, slots=True)
class Softmax(Instruction):
    """The softmax of each of `rows` rows of `length` elements."""

    opcode: ClassVar[int] = 0x33
    input: int = address()
    parameters: int = address()
    output: int = address()
    rows: int = extent()


@dataclass(frozen=True, slots=True)
class Resize(Instruction):
    """`row_table` is of this tile's output rows; its indices are of the picture, `first_row` of the tile."""

    opcode: ClassVar[int] = 0x35
    input: int = address()
    input_slots: int = extent()
    input_first: int = count()
    row_table: int = address()
    column_table: int = address()
    output: int = address()
    output_slots: int = extent()
    output_first: int = count()
    channels: int = extent()
    input_rows: int = extent()
    first_row: int = count()
    output_rows: int = extent()
