"""Bilinear resizes: a tile reads the rows of the picture that its rows of output name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.emitting.work import element_cycles
from modelbuild.npu.lowering.operation import Operation, packed
from modelbuild.npu.lowering.tiles import Held, Slab, Tiles
from modelbuild.npu.planning.plan import Region
from modelbuild.npu.planning.weights import POSITION_BYTES
from modelbuild.npu.program import Rates
from modelbuild.npu.program.setups import ResizeSetup
from modelbuild.npu.program.tiles import Resize


class _ResizeTiles(Tiles):
    def __init__(self, operation: Operation) -> None:
        super().__init__(operation)
        before, after = operation.inputs[0].tensor.shape, operation.output.tensor.shape
        operation.check(len(before) == 4 == len(after) and before[:2] == after[:2], "the shapes do not fit")
        same = operation.inputs[0].type == operation.output.type
        operation.check(same, "input and output have different types")
        rows, columns = (
            operation.constant("rows", (after[2], 2)),
            operation.constant("columns", (after[3], 2)),
        )
        self._rows = _positions(operation, rows, "row_weights", before[2])
        self._columns = _positions(operation, columns, "column_weights", before[3])
        self._lows, self._highs = rows.min(axis=1).tolist(), (rows.max(axis=1) + 1).tolist()
        self._width = after[3]
        self._setup = ResizeSetup(
            input_type=operation.inputs[0].type,
            input_width=before[3],
            output_width=after[3],
            zero=operation.integer("output_zero"),
            low=operation.integer("low"),
            high=operation.integer("high"),
        )

    def setup(self, region: Region) -> ResizeSetup:
        return self._setup

    def needs(self, region: Region) -> tuple[Region, ...]:
        seen = slice(region.row, region.row + region.rows)
        low, high = min(self._lows[seen]), max(self._highs[seen])
        return (Region(self.operation.operator.inputs[0], region.plane, region.planes, low, high - low),)

    def tile(
        self, region: Region, needs: Sequence[Region], inputs: Sequence[Slab], output: Slab, held: Held
    ) -> Resize:
        skipped = region.row - held.region.row
        assert 0 <= skipped <= held.region.rows - region.rows, (held, region)
        return Resize(
            input=inputs[0].address,
            input_slots=inputs[0].slots,
            input_first=inputs[0].first,
            row_table=held.address + POSITION_BYTES * skipped,
            column_table=held.address + POSITION_BYTES * held.region.rows,
            output=output.address,
            output_slots=output.slots,
            output_first=output.first,
            channels=region.planes,
            input_rows=needs[0].rows,
            first_row=needs[0].row,
            output_rows=region.rows,
        )

    def cycles(self, region: Region, needs: Sequence[Region], rates: Rates) -> int:
        return element_cycles(region.planes * region.rows * self._width, rates)

    def constant_key(self, region: Region) -> tuple[int, ...]:
        return region.row, region.rows

    def constants(self, region: Region) -> bytes:
        return self._rows[region.row : region.row + region.rows].tobytes() + self._columns.tobytes()

    def constant_reads(self, region: Region, held: Held) -> tuple[tuple[int, int], ...]:
        rows = held.address + POSITION_BYTES * (region.row - held.region.row)
        columns = held.address + POSITION_BYTES * held.region.rows
        return (rows, POSITION_BYTES * region.rows), (columns, POSITION_BYTES * self._width)


def resize_tiles(operation: Operation) -> Tiles:
    """`resize_linear`."""
    return _ResizeTiles(operation)


def _positions(operation: Operation, indices: NDArray[np.int64], role: str, extent: int) -> NDArray[np.uint8]:
    weights = operation.constant(role, indices.shape)
    last = min(extent, 2**16) - 1
    return packed(
        operation,
        {
            "first index": (indices[:, 0], 2, 0, last),
            "second index": (indices[:, 1], 2, 0, last),
            f"first of {role}": (weights[:, 0], 2, -(2**15), 2**15 - 1),
            f"second of {role}": (weights[:, 1], 2, -(2**15), 2**15 - 1),
        },
    )
