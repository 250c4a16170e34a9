"""Where the rows of a tile's maps lie in SRAM: plane by plane, each a ring of slots."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import ElementType, Instruction
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t


@dataclass(frozen=True)
class Stretch:
    """`length` bytes from `address`, repeated by loops of (count, stride)."""

    address: int
    length: int
    loops: tuple[tuple[int, int], ...] = ()

    @property
    def span(self) -> int:
        """From the first byte to behind the last."""
        return sum((count - 1) * stride for count, stride in self.loops) + self.length

    @property
    def moved(self) -> int:
        """Bytes, those that lie in several runs as often."""
        return math.prod(count for count, _ in self.loops) * self.length

    def meets(self, other: Stretch) -> bool:
        """Whether the bytes from first to last of the two overlap."""
        return self.address < other.address + other.span and other.address < self.address + self.span


@dataclass(frozen=True)
class RowMap:
    """`planes` x `rows` x `columns` elements; row r of plane p lies in slot (first + r) % slots of p."""

    address: int
    planes: int
    rows: int
    columns: int
    kind: ElementType
    slots: int
    first: int

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.columns * self.kind.size

    @cached_property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """(slot, rows) of each run of rows, in order: one, or two where the ring wraps."""
        before = min(self.rows, self.slots - self.first)
        one = (self.first, before)
        return (one,) if before == self.rows else (one, (0, self.rows - before))

    def stretch(self, slot: int, rows: int) -> Stretch:
        """The bytes of `rows` slots from `slot` of every plane."""
        plane = self.slots * self.row_bytes
        address = self.address + slot * self.row_bytes
        if rows == self.slots:
            return Stretch(address, self.planes * plane)
        loops = ((self.planes, plane),) if self.planes > 1 else ()
        return Stretch(address, rows * self.row_bytes, loops)

    def stretches(self) -> tuple[Stretch, ...]:
        """All bytes of the map; none if it has no rows."""
        if not self.rows:
            return ()
        if self.rows == self.slots:
            return (self.stretch(0, self.rows),)
        return tuple(self.stretch(*part) for part in self.parts)


@dataclass(frozen=True)
class TileMaps:
    """What a tile reads, less its parameters, and what it writes."""

    inputs: tuple[RowMap, ...]
    output: RowMap


def _map(tile: Any, operand: str, extents: tuple[int, int, int], kind: int) -> RowMap:
    slots, first = getattr(tile, f"{operand}_slots"), getattr(tile, f"{operand}_first")
    return RowMap(getattr(tile, operand), *extents, ElementType(kind), slots, first)


def operand_extents(tile: t.Binary, setup: s.BinarySetup, operand: int) -> tuple[int, int, int]:
    """Extents of operand 0 or 1: 1 where it is broadcast."""
    bits = setup.broadcast >> (3 * operand)
    extents = (tile.planes, tile.rows, tile.columns)
    planes, rows, columns = (1 if bits >> axis & 1 else extent for axis, extent in enumerate(extents))
    return planes, rows, columns


def _convolution_input(tile: t.Convolution, setup: s.ConvolutionSetup) -> RowMap:
    extents = (tile.groups * setup.group_inputs, tile.input_rows, setup.input_width)
    return _map(tile, "input", extents, setup.input_type)


def _convolution_output(tile: t.Convolution, setup: s.ConvolutionSetup) -> RowMap:
    extents = (tile.groups * tile.group_outputs, tile.output_rows, setup.output_width)
    return _map(tile, "output", extents, setup.output_type)


def _window_input(tile: Any, setup: Any) -> RowMap:
    return _map(tile, "input", (tile.channels, tile.input_rows, setup.input_width), setup.input_type)


def _window_output(tile: Any, setup: Any) -> RowMap:
    kind = setup.output_type if isinstance(setup, s.AveragePoolSetup) else setup.input_type
    return _map(tile, "output", (tile.channels, tile.output_rows, setup.output_width), kind)


def _cells_input(tile: Any, setup: Any) -> RowMap:
    return _map(tile, "input", (tile.planes, tile.rows, tile.columns), setup.input_type)


def _cells_output(tile: Any, setup: Any) -> RowMap:
    return _map(tile, "output", (tile.planes, tile.rows, tile.columns), setup.output_type)


def _first_operand(tile: t.Binary, setup: s.BinarySetup) -> RowMap:
    return _operand(_map(tile, "input", operand_extents(tile, setup, 0), setup.input_type))


def _second_operand(tile: t.Binary, setup: s.BinarySetup) -> RowMap:
    return _operand(_map(tile, "other", operand_extents(tile, setup, 1), setup.other_type))


def _operand(found: RowMap) -> RowMap:
    if found.rows > found.slots:
        raise ModelbuildError(f"malformed program: {found.rows} rows of an operand in {found.slots} slots")
    return found


_Finder = Callable[[Any, Any], RowMap]
_MAPS: dict[type[Instruction], tuple[tuple[_Finder, ...], _Finder]] = {
    t.Convolution: ((_convolution_input,), _convolution_output),
    t.MaxPool: ((_window_input,), _window_output),
    t.AveragePool: ((_window_input,), _window_output),
    t.Resize: ((_window_input,), _window_output),
    t.Binary: ((_first_operand, _second_operand), _cells_output),
    t.Rescale: ((_cells_input,), _cells_output),
    t.Table: ((_cells_input,), _cells_output),
    t.Curve: ((_cells_input,), _cells_output),
}


def tile_maps(tile: Instruction, setup: Any) -> TileMaps | None:
    """Of a tile under its setup; None if its operands are no maps."""
    if type(tile) not in _MAPS:
        return None
    inputs, output = _MAPS[type(tile)]
    return TileMaps(tuple(find(tile, setup) for find in inputs), output(tile, setup))
