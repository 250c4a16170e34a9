"""What every kind of operator that is computed in rows offers: its setup, its tiles, its constants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.npu.emitting.emitter import Emitter
from modelbuild.npu.emitting.timeline import Span
from modelbuild.npu.lowering.operation import Operation
from modelbuild.npu.planning.forms import form, images
from modelbuild.npu.planning.plan import Region
from modelbuild.npu.program import Instruction, Rates


@dataclass(frozen=True, slots=True)
class Slab:
    """Rows of some planes of a map in SRAM: the first row lies `first` slots into its plane's `slots`."""

    address: int
    slots: int
    first: int


@dataclass(frozen=True, slots=True)
class Held:
    """Constants in SRAM, and the region of the output that they were loaded for."""

    address: int
    region: Region


class Tiles(ABC):
    """One operator as tiles. A region is of its output, and lies within one image unless said otherwise."""

    row_by_row = False  # whether a tile has one row at the most
    own_form = True  # whether a tile has the planes, rows and columns of its region

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.output = form(operation.output.tensor)
        self.inputs = tuple(form(place.tensor) for place in operation.inputs)

    @property
    def name(self) -> str:
        """The output's."""
        return self.operation.operator.outputs[0]

    @property
    def images(self) -> int:
        """How many images the output's planes are of."""
        return images(self.operation.output.tensor.shape)

    @abstractmethod
    def setup(self, region: Region) -> Instruction:
        """What the tiles of the region share."""

    def way_out(self) -> Instruction | None:
        """The setup of tiles that are computed on the way out of the array, for kinds that can be."""
        return None

    @abstractmethod
    def needs(self, region: Region) -> tuple[Region, ...]:
        """The region of each input that the region is made from; no rows where it sees but padding."""

    @abstractmethod
    def tile(
        self, region: Region, needs: Sequence[Region], inputs: Sequence[Slab], output: Slab, held: Held
    ) -> Instruction:
        """The instruction that makes the region."""

    @abstractmethod
    def cycles(self, region: Region, needs: Sequence[Region], rates: Rates) -> int:
        """How long the tile takes."""

    def constant_key(self, region: Region) -> tuple[int, ...]:
        """Regions of the same key have the same constants."""
        return ()

    def constants(self, region: Region) -> bytes:
        """What has to lie in SRAM for the region, `npu.weights.constant_size` bytes."""
        return b""

    def constant_reads(self, region: Region, held: Held) -> tuple[tuple[int, int], ...]:
        """(address, bytes) of the constants that the tile reads."""
        return ()

    def chunks(self, planes: int) -> list[tuple[int, int]]:
        """One image's planes cut into tiles of at most so many: (first, count), of the first image."""
        whole = self.output.planes // self.images
        return [(first, min(planes, whole - first)) for first in range(0, whole, planes)]


def rows_in_slots(slab: Slab, rows: int) -> list[tuple[int, int]]:
    """(slot, rows) of each run of neighbouring slots: one, or two where the ring begins anew."""
    before = min(rows, slab.slots - slab.first)
    return [(slab.first, before), (0, rows - before)] if before < rows else [(slab.first, rows)]


def spans(slab: Slab, planes: int, rows: int, row_bytes: int) -> list[Span]:
    """The bytes of SRAM that so many rows of so many planes cover."""
    if rows == slab.slots:
        return [Span(slab.address, planes * rows * row_bytes)]
    plane = slab.slots * row_bytes
    return [
        Span(slab.address + slot * row_bytes, count * row_bytes, planes, plane)
        for slot, count in rows_in_slots(slab, rows)
        if count
    ]


def compute(
    tiles: Tiles,
    emitter: Emitter,
    region: Region,
    needs: Sequence[Region],
    places: tuple[Sequence[Slab], Slab],
    held: Held,
    free: Instruction | None = None,
) -> None:
    """Emits the tile that makes a region. `places`: of the rows of each input that it needs, and its own.
    `free`: the setup of a tile that costs nothing."""
    inputs, output = places
    emitter.setup(free or tiles.setup(region))
    reads: list[Span] = []
    writes: list[Span] = []
    if emitter.interlocked:
        for need, slab, own in zip(needs, inputs, tiles.inputs, strict=True):
            reads += spans(slab, need.planes, need.rows, own.row_bytes)
        reads += [Span(*part) for part in tiles.constant_reads(region, held)]
        writes += spans(output, region.planes, region.rows, tiles.output.row_bytes)
    tile = tiles.tile(region, needs, inputs, output, held)
    emitter.compute(tile, 0 if free else tiles.cycles(region, needs, emitter.rates), reads, writes)
