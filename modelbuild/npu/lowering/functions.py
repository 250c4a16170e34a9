"""Functions of one number: tables of 256 entries, and curves of 16 bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from modelbuild.npu.emitting.work import element_cycles
from modelbuild.npu.lowering.operation import Operation, packed
from modelbuild.npu.lowering.tiles import Held, Slab, Tiles
from modelbuild.npu.planning.plan import Region
from modelbuild.npu.planning.weights import TABLE_ENTRIES
from modelbuild.npu.program import Instruction, Rates
from modelbuild.npu.program.setups import CurveSetup, TableSetup
from modelbuild.npu.program.tiles import Curve, Table

COEFFICIENT = (4, -(2**31), 2**31 - 1)  # bytes, low, high


class _FunctionTiles(Tiles):
    """Cells under one set of parameters."""

    def __init__(
        self,
        operation: Operation,
        setup: TableSetup | CurveSetup,
        entries: bytes,
        kind: type[Table] | type[Curve],
    ) -> None:
        super().__init__(operation)
        same = math.prod(operation.inputs[0].tensor.shape) == math.prod(operation.output.tensor.shape)
        operation.check(same, "the shapes do not fit")
        self._setup = setup
        self._way_out = replace(setup, stage=1)
        self._entries = entries
        self._kind = kind

    def setup(self, region: Region) -> Instruction:
        return self._setup

    def way_out(self) -> Instruction:
        return self._way_out

    def needs(self, region: Region) -> tuple[Region, ...]:
        name = self.operation.operator.inputs[0]
        return (Region(name, region.plane, region.planes, region.row, region.rows),)

    def tile(
        self, region: Region, needs: Sequence[Region], inputs: Sequence[Slab], output: Slab, held: Held
    ) -> Instruction:
        return self._kind(
            input=inputs[0].address,
            input_slots=inputs[0].slots,
            input_first=inputs[0].first,
            parameters=held.address,
            output=output.address,
            output_slots=output.slots,
            output_first=output.first,
            planes=region.planes,
            rows=region.rows,
            columns=self.output.columns,
        )

    def cycles(self, region: Region, needs: Sequence[Region], rates: Rates) -> int:
        return element_cycles(region.planes * region.rows * self.output.columns, rates)

    def constants(self, region: Region) -> bytes:
        return self._entries

    def constant_reads(self, region: Region, held: Held) -> tuple[tuple[int, int], ...]:
        return ((held.address, len(self._entries)),)


def table_tiles(operation: Operation) -> Tiles:
    """`table`."""
    source, target = operation.inputs[0], operation.output
    operation.check(source.type.size == 1, "a table needs an input of 8 bits")
    table = operation.constant("table", (TABLE_ENTRIES,))
    columns = {"table": (table, target.type.size, target.type.low, target.type.high)}
    setup = TableSetup(source.type, target.type, operation.integer("input_low"))
    return _FunctionTiles(operation, setup, packed(operation, columns).tobytes(), Table)


def curve_tiles(operation: Operation) -> Tiles:
    """`curve`: a record of three numbers a segment."""
    source, target = operation.inputs[0], operation.output
    operation.check(source.type.size == 2, "a curve needs an input of 16 bits")
    rows = {role: operation.constant(role, (None,)) for role in ("value", "slope", "bend")}
    counts = {len(row) for row in rows.values()}
    operation.check(len(counts) == 1, "value, slope and bend differ in length")
    setup = CurveSetup(
        input_type=source.type,
        output_type=target.type,
        segment_bits=operation.integer("segment_bits"),
        segments=counts.pop(),
        start=operation.integer("start"),
        output_zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )
    columns = {role: (row, *COEFFICIENT) for role, row in rows.items()}
    return _FunctionTiles(operation, setup, packed(operation, columns).tobytes(), Curve)
