"""Poolings as tiles of planes (batch x channels) by output rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.emitting.work import element_cycles, pool_cells
from modelbuild.npu.lowering.operation import Operation, packed, scaling_columns
from modelbuild.npu.lowering.tiles import Held, Slab, Tiles
from modelbuild.npu.lowering.windows import RowWindow
from modelbuild.npu.planning.plan import Region
from modelbuild.npu.program import Instruction, Rates
from modelbuild.npu.program.setups import AveragePoolSetup, MaxPoolSetup
from modelbuild.npu.program.tiles import AveragePool, MaxPool


class _PoolTiles(Tiles):
    """What both kinds share: windows, (height, width) each; pads are top, left, bottom, right."""

    def __init__(self, operation: Operation, dilations: tuple[int, ...]) -> None:
        super().__init__(operation)
        before, after = operation.inputs[0].tensor.shape, operation.output.tensor.shape
        operation.check(len(before) == 4 == len(after) and before[:2] == after[:2], "the shapes do not fit")
        self.kernel = operation.integers("kernel", 2)
        self.strides = operation.integers("strides", 2)
        self.dilations = tuple(
            1 if size == 1 else dilation for size, dilation in zip(self.kernel, dilations, strict=True)
        )
        self.pads = operation.integers("pads", 4)
        operation.check(min(self.pads) >= 0, "pads must not be negative")
        self.extents, self.outputs = before[2:], after[2:]
        self._check_windows()
        self.window = RowWindow(
            self.kernel[0], self.strides[0], self.dilations[0], self.pads[0], self.extents[0]
        )

    def _check_windows(self) -> None:
        for axis in (0, 1):
            starts = np.arange(self.outputs[axis]) * self.strides[axis] - self.pads[axis]
            cells = starts[:, None] + np.arange(self.kernel[axis]) * self.dilations[axis]
            inside = ((cells >= 0) & (cells < self.extents[axis])).any(axis=1)
            self.operation.check(bool(inside.all()), "a window lies outside the picture")

    def needs(self, region: Region) -> tuple[Region, ...]:
        low, high, _ = self.window.rows(region.row, region.rows)
        name = self.operation.operator.inputs[0]
        return (Region(name, region.plane, region.planes, low, high - low),)

    def cycles(self, region: Region, needs: Sequence[Region], rates: Rates) -> int:
        outputs, inputs = (region.rows, self.outputs[1]), (needs[0].rows, self.extents[1])
        return element_cycles(pool_cells(region.planes, outputs, inputs), rates)

    def _window_fields(self) -> dict[str, int]:
        """What the setups of both kinds say of windows and widths."""
        down, right = (
            1 if outputs == 1 else stride for outputs, stride in zip(self.outputs, self.strides, strict=True)
        )  # 1 along an axis of one output
        return {
            "kernel_height": self.kernel[0],
            "kernel_width": self.kernel[1],
            "stride_height": down,
            "stride_width": right,
            "pad_left": self.pads[1],
            "input_width": self.extents[1],
            "output_width": self.outputs[1],
            "low": self.operation.integer("low"),
            "high": self.operation.integer("high"),
        }

    def _tile_fields(
        self, region: Region, needs: Sequence[Region], inputs: Sequence[Slab], output: Slab
    ) -> dict[str, int]:
        """What the tiles of both kinds say of rows and places."""
        return {
            "input": inputs[0].address,
            "input_slots": inputs[0].slots,
            "input_first": inputs[0].first,
            "output": output.address,
            "output_slots": output.slots,
            "output_first": output.first,
            "channels": region.planes,
            "input_rows": needs[0].rows,
            "output_rows": region.rows,
            "pad_top": self.window.rows(region.row, region.rows)[2],
        }

    @abstractmethod
    def setup(self, region: Region) -> Instruction: ...


class _MaxPoolTiles(_PoolTiles):
    def __init__(self, operation: Operation) -> None:
        super().__init__(operation, operation.integers("dilations", 2))
        same = operation.inputs[0].type == operation.output.type
        operation.check(same, "input and output have different types")
        self._setup = MaxPoolSetup(
            input_type=operation.inputs[0].type,
            dilation_height=self.dilations[0],
            dilation_width=self.dilations[1],
            **self._window_fields(),
        )

    def setup(self, region: Region) -> MaxPoolSetup:
        return self._setup

    def tile(
        self, region: Region, needs: Sequence[Region], inputs: Sequence[Slab], output: Slab, held: Held
    ) -> MaxPool:
        return MaxPool(**self._tile_fields(region, needs, inputs, output))


class _AveragePoolTiles(_PoolTiles):
    def __init__(self, operation: Operation) -> None:
        super().__init__(operation, (1, 1))
        self._include = bool(operation.integer("count_include_pad"))
        self._entries = _divisors(operation)
        self._padded_height = self.pads[0] + self.extents[0] + self.pads[2]
        self._setup = self._make_setup()

    def _make_setup(self) -> AveragePoolSetup:
        operation = self.operation
        padded_width = self.pads[1] + self.extents[1] + self.pads[3]
        reached = (self.outputs[1] - 1) * self.strides[1] + self.kernel[1]
        return AveragePoolSetup(
            input_type=operation.inputs[0].type,
            output_type=operation.output.type,
            include_padding=int(self._include),
            counted_width=min(reached, padded_width) if self._include else self.extents[1],
            entries=len(self._entries),
            input_zero=operation.integer("input_zero"),
            output_zero=operation.integer("output_zero"),
            **self._window_fields(),
        )

    def setup(self, region: Region) -> AveragePoolSetup:
        return self._setup

    def tile(
        self, region: Region, needs: Sequence[Region], inputs: Sequence[Slab], output: Slab, held: Held
    ) -> AveragePool:
        padded = min(self.window.span(region.rows), self._padded_height - region.row * self.window.stride)
        return AveragePool(
            **self._tile_fields(region, needs, inputs, output),
            parameters=held.address,
            counted_rows=padded if self._include else needs[0].rows,
        )

    def constants(self, region: Region) -> bytes:
        return self._entries.tobytes()

    def constant_reads(self, region: Region, held: Held) -> tuple[tuple[int, int], ...]:
        return ((held.address, self._entries.size),)


def _divisors(operation: Operation) -> NDArray[np.uint8]:
    count = operation.constant("count", (None,))
    scaling = scaling_columns(
        operation.constant("multiplier", count.shape), operation.constant("shift", count.shape)
    )
    operation.check(bool((np.diff(count) > 0).all()), "count is not ascending")
    return packed(operation, {"count": (count, 4, 1, 2**31 - 1), **scaling})


def max_pool_tiles(operation: Operation) -> Tiles:
    """`max_pool`."""
    return _MaxPoolTiles(operation)


def average_pool_tiles(operation: Operation) -> Tiles:
    """`average_pool`."""
    return _AveragePoolTiles(operation)
