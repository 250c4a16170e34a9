"""Operators that treat every cell alike: sums and products, rescaling, PReLU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from modelbuild.npu.emitting.work import binary_cells, element_cycles
from modelbuild.npu.lowering.operation import Operation, packed, scaling_columns
from modelbuild.npu.lowering.tiles import Held, Slab, Tiles
from modelbuild.npu.planning.forms import Form, operand_form
from modelbuild.npu.planning.halo import input_planes
from modelbuild.npu.planning.plan import Region
from modelbuild.npu.planning.weights import RESCALE_BYTES
from modelbuild.npu.program import Rates
from modelbuild.npu.program.setups import BinarySetup, RescaleSetup
from modelbuild.npu.program.tiles import Binary, Rescale


def scaling(operation: Operation) -> bytes:
    """The operator's multiplier and shift as they lie among the constants."""
    multiplier, shift = (np.array([operation.integer(name)]) for name in ("multiplier", "shift"))
    return packed(operation, scaling_columns(multiplier, shift)).tobytes()


def sum_record(operation: Operation) -> bytes:
    """The two multipliers and the shift of an `add`."""
    multipliers = [np.array([operation.integer(f"{name}_multiplier")]) for name in ("input", "other")]
    second = scaling_columns(multipliers[1], np.array([operation.integer("shift")]), "other ")
    first = scaling_columns(multipliers[0], np.array([0]))
    del first["shift"]
    return packed(operation, {**first, **second}).tobytes()


def binary_setup(operation: Operation, function: int, broadcast: int) -> BinarySetup:
    """Of an `add` (function 0) or a `multiply` (1)."""
    source, other = operation.inputs
    return BinarySetup(
        function=function,
        input_type=source.type,
        other_type=other.type,
        output_type=operation.output.type,
        broadcast=broadcast,
        input_zero=operation.integer("input_zero"),
        other_zero=operation.integer("other_zero"),
        output_zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )


class _BinaryTiles(Tiles):
    """Within a region each operand has all of its planes or one, all rows or one, all columns or one."""

    def __init__(self, operation: Operation, function: int, record: bytes) -> None:
        super().__init__(operation)
        whole = operation.output.tensor.shape
        self.inputs = tuple(operand_form(place.tensor, len(whole)) for place in operation.inputs)
        for place in operation.inputs:
            filled = (1,) * (len(whole) - len(place.tensor.shape)) + place.tensor.shape
            fits = len(filled) == len(whole) and all(
                extent in (1, full) for extent, full in zip(filled, whole, strict=True)
            )
            operation.check(fits, f"an input does not broadcast to {whole}")
        self._columns = self.output.columns
        fixed = [(own.rows, own.columns) for own in self.inputs]
        self._mask = sum(
            (extent != whole) << (3 * index + axis)
            for index, own in enumerate(fixed)
            for axis, (extent, whole) in enumerate(
                zip(own, (self.output.rows, self.output.columns), strict=True), 1
            )
        )
        self._setups: dict[int, BinarySetup] = {}
        self._function = function
        self._record = record

    def setup(self, region: Region) -> BinarySetup:
        mask = self._mask
        for index in (0, 1):
            mask |= (self._planes(index, region)[1] != region.planes) << (3 * index)
        if mask not in self._setups:
            self._setups[mask] = binary_setup(self.operation, self._function, mask)
        return self._setups[mask]

    def _planes(self, index: int, region: Region) -> tuple[int, int]:
        operation = self.operation
        found = input_planes(operation.model, operation.operator, index, region.plane, region.planes)
        assert found[1] in (1, region.planes), (operation.operator.name, region)
        return found

    def needs(self, region: Region) -> tuple[Region, ...]:
        found = []
        for index, name in enumerate(self.operation.operator.inputs):
            whole = self.inputs[index].rows == self.output.rows
            rows = (region.row, region.rows) if whole else (0, 1)
            found.append(Region(name, *self._planes(index, region), *rows))
        return tuple(found)

    def tile(
        self, region: Region, needs: Sequence[Region], inputs: Sequence[Slab], output: Slab, held: Held
    ) -> Binary:
        first, second = inputs
        return Binary(
            input=first.address,
            input_slots=first.slots,
            input_first=first.first,
            other=second.address,
            other_slots=second.slots,
            other_first=second.first,
            parameters=held.address,
            output=output.address,
            output_slots=output.slots,
            output_first=output.first,
            planes=region.planes,
            rows=region.rows,
            columns=self._columns,
        )

    def cycles(self, region: Region, needs: Sequence[Region], rates: Rates) -> int:
        first, second = (
            (need.planes, need.rows, own.columns) for need, own in zip(needs, self.inputs, strict=True)
        )
        cells = binary_cells((region.planes, region.rows, self._columns), first, second)
        return element_cycles(cells, rates)

    def constants(self, region: Region) -> bytes:
        return self._record

    def constant_reads(self, region: Region, held: Held) -> tuple[tuple[int, int], ...]:
        return ((held.address, len(self._record)),)


def add_tiles(operation: Operation) -> Tiles:
    """`add`."""
    return _BinaryTiles(operation, 0, sum_record(operation))


def multiply_tiles(operation: Operation) -> Tiles:
    """`multiply`."""
    return _BinaryTiles(operation, 1, scaling(operation))


class _RescaleTiles(Tiles):
    """A record a plane; maps of one row are one plane."""

    def __init__(self, operation: Operation, setup: RescaleSetup, records: bytes) -> None:
        super().__init__(operation)
        self._setup = setup
        self._way_out = replace(setup, stage=1)
        self._records = records
        self._flat = self.output.rows == 1
        self.own_form = not self._flat

    def setup(self, region: Region) -> RescaleSetup:
        return self._setup

    def way_out(self) -> RescaleSetup | None:
        return None if self._flat else self._way_out

    def needs(self, region: Region) -> tuple[Region, ...]:
        name = self.operation.operator.inputs[0]
        return (Region(name, region.plane, region.planes, region.row, region.rows),)

    def tile(
        self, region: Region, needs: Sequence[Region], inputs: Sequence[Slab], output: Slab, held: Held
    ) -> Rescale:
        columns = self.output.columns
        assert not self._flat or inputs[0].slots == output.slots == 1, self.operation.operator.name
        skipped = self._skipped(region, held)
        return Rescale(
            input=inputs[0].address,
            input_slots=inputs[0].slots,
            input_first=inputs[0].first,
            parameters=held.address + skipped * RESCALE_BYTES,
            output=output.address,
            output_slots=output.slots,
            output_first=output.first,
            planes=1 if self._flat else region.planes,
            rows=region.rows,
            columns=region.planes * columns if self._flat else columns,
        )

    def _skipped(self, region: Region, held: Held) -> int:
        """Records before the region's first."""
        if self._flat:
            return 0
        planes = self.output.planes // self.images
        skipped = (region.plane - held.region.plane) % planes
        assert skipped + region.planes <= held.region.planes, (held, region)
        return skipped

    def cycles(self, region: Region, needs: Sequence[Region], rates: Rates) -> int:
        return element_cycles(region.planes * region.rows * self.output.columns, rates)

    def _count(self, region: Region) -> int:
        return 1 if self._flat else region.planes

    def constant_key(self, region: Region) -> tuple[int, ...]:
        return (self._count(region),)

    def constants(self, region: Region) -> bytes:
        return self._records * self._count(region)

    def constant_reads(self, region: Region, held: Held) -> tuple[tuple[int, int], ...]:
        start = held.address + self._skipped(region, held) * RESCALE_BYTES
        return ((start, self._count(region) * RESCALE_BYTES),)


def rescale_tiles(operation: Operation) -> Tiles:
    """`rescale`."""
    same = math.prod(operation.inputs[0].tensor.shape) == math.prod(operation.output.tensor.shape)
    operation.check(same, "the shapes do not fit")
    return _RescaleTiles(operation, _rescale_setup(operation), scaling(operation) * 2)


def _rescale_setup(operation: Operation) -> RescaleSetup:
    return RescaleSetup(
        input_type=operation.inputs[0].type,
        output_type=operation.output.type,
        input_zero=operation.integer("input_zero"),
        output_zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )


class _PreluTiles(_RescaleTiles):
    """Records of the channels, axis 1: planes, but rows of rank 3, one a tile; of more axes than 4 a channel
    is seen as one row."""

    def __init__(self, operation: Operation, records: bytes) -> None:
        super().__init__(operation, _rescale_setup(operation), records)
        shape = operation.output.tensor.shape
        self._flat, self.own_form = False, True
        self.row_by_row = len(shape) == 3
        if len(shape) > 4:
            planes, columns = shape[0] * shape[1], math.prod(shape[2:])
            self.output = Form(planes, 1, columns, operation.output.type.size)
            self.inputs = (Form(planes, 1, columns, operation.inputs[0].type.size),)

    @property
    def images(self) -> int:
        shape = self.operation.output.tensor.shape
        return 1 if self.row_by_row else shape[0]

    def constant_key(self, region: Region) -> tuple[int, ...]:
        if self.row_by_row:
            return region.row, region.planes
        return region.plane % (self.output.planes // self.images), region.planes

    def constants(self, region: Region) -> bytes:
        first, count = self.constant_key(region)
        if self.row_by_row:
            return self._records[first * RESCALE_BYTES : (first + 1) * RESCALE_BYTES] * count
        return self._records[first * RESCALE_BYTES : (first + count) * RESCALE_BYTES]


def prelu_tiles(operation: Operation) -> Tiles:
    """`prelu`: a rescaling whose negative values have a multiplier of their own in each channel."""
    shape = operation.output.tensor.shape
    operation.check(shape == operation.inputs[0].tensor.shape and len(shape) >= 2, "the shapes do not fit")
    channels = shape[1]
    positive = scaling_columns(
        np.full(channels, operation.integer("multiplier")), np.full(channels, operation.integer("shift"))
    )
    negative = scaling_columns(
        operation.constant("negative_multiplier", (channels,)),
        operation.constant("negative_shift", (channels,)),
        "negative ",
    )
    return _PreluTiles(operation, packed(operation, {**positive, **negative}).tobytes())
