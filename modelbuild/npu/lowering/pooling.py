"""Poolings and bilinear resizes as tiles of planes (batch x channels) by output rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modelbuild.npu.emitter import Emitter, Place
from modelbuild.npu.lowering.operation import Operation, packed, scaling_columns
from modelbuild.npu.memory import align
from modelbuild.npu.program.setups import AveragePoolSetup, MaxPoolSetup, ResizeSetup
from modelbuild.npu.program.tiles import AveragePool, MaxPool, Resize
from modelbuild.npu.tiling import Box, boxes, plan_strips, window_span
from modelbuild.npu.timeline import Buffer

_ROW_BYTES = 8  # two indices, two weights


@dataclass(frozen=True)
class _Planes:
    """The shapes of a layer that works on each plane by itself. Sizes in bytes."""

    source: Place
    target: Place

    @property
    def count(self) -> int:
        return self.source.tensor.shape[0] * self.source.tensor.shape[1]

    @property
    def input_line(self) -> int:
        return self.source.tensor.shape[3] * self.source.type.size

    @property
    def output_line(self) -> int:
        return self.target.tensor.shape[3] * self.target.type.size

    def cells(self, input_rows: int, rows: int) -> int:
        """Cells of a plane that a pooling looks at or makes, whichever are more."""
        return max(input_rows * self.source.tensor.shape[3], rows * self.target.tensor.shape[3])

    def load(self, emitter: Emitter, to: Buffer, first: int, planes: int, low: int, rows: int) -> None:
        """Rows low..low+rows of `planes` planes."""
        line = self.input_line
        plane = self.source.tensor.shape[2] * line
        shape = [(planes, plane, rows * line), (rows, line, line)]
        emitter.load(self.source, first * plane + low * line, line, shape, to)

    def store(self, emitter: Emitter, source: Buffer, first: int, planes: int, row: int, rows: int) -> None:
        """Rows row..row+rows of `planes` planes."""
        line = self.output_line
        plane = self.target.tensor.shape[2] * line
        shape = [(planes, plane, rows * line), (rows, line, line)]
        emitter.store(source, self.target, first * plane + row * line, line, shape)


def _planes(operation: Operation) -> _Planes:
    planes = _Planes(operation.inputs[0], operation.output)
    before, after = planes.source.tensor.shape, planes.target.tensor.shape
    operation.check(len(before) == 4 == len(after) and before[:2] == after[:2], "the shapes do not fit")
    return planes


@dataclass(frozen=True)
class _Window:
    """A pooling's window, (height, width) each; pads are top, left, bottom, right."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]

    def span(self, axis: int, outputs: int) -> int:
        """Cells of the padded picture that so many outputs look at."""
        return window_span(outputs, self.strides[axis], self.dilations[axis], self.kernel[axis])

    def rows(self, first: int, count: int, height: int) -> tuple[int, int, int]:
        """Lowest and highest row of the picture under output rows, and how many rows lie above it."""
        top = first * self.strides[0] - self.pads[0]
        low = max(0, top)
        return low, min(height, top + self.span(0, count)), low - top


def _window(operation: Operation, planes: _Planes, dilations: tuple[int, ...]) -> _Window:
    kernel = operation.integers("kernel", 2)
    window = _Window(
        kernel,
        operation.integers("strides", 2),
        tuple(1 if size == 1 else dilation for size, dilation in zip(kernel, dilations, strict=True)),
        operation.integers("pads", 4),
    )
    operation.check(min(window.pads) >= 0, "pads must not be negative")
    for axis in (0, 1):
        outputs, inputs = planes.target.tensor.shape[2 + axis], planes.source.tensor.shape[2 + axis]
        starts = np.arange(outputs) * window.strides[axis] - window.pads[axis]
        reach = np.arange(window.kernel[axis]) * window.dilations[axis]
        cells = starts[:, None] + reach[None, :]
        inside = ((cells >= 0) & (cells < inputs)).any(axis=1)
        operation.check(bool(inside.all()), "a window lies outside the picture")
    return window


def _emit_windows(
    emitter: Emitter, planes: _Planes, window: _Window, fixed: int
) -> Iterator[tuple[Buffer, Buffer, int, int, tuple[int, int, int]]]:
    """Loads and stores around each tile: (input, output, planes, first row, (rows, input rows, pad top))."""
    height, outputs = planes.source.tensor.shape[2], planes.target.tensor.shape[2]

    def sizes(box: Box) -> tuple[int, int]:
        rows = min(height, window.span(0, box[1]))
        return align(box[0] * rows * planes.input_line), align(box[0] * box[1] * planes.output_line)

    plan = plan_strips((planes.count, outputs), lambda box: sum(sizes(box)), fixed, emitter.capacity)
    inputs, results = (emitter.ring(plan.buffers, size) for size in sizes(plan.box))
    for (first, row), (count, rows) in boxes((planes.count, outputs), plan.box):
        low, high, above = window.rows(row, rows, height)
        source, result = inputs.take(), results.take()
        planes.load(emitter, source, first, count, low, high - low)
        yield source, result, count, row, (rows, high - low, above)
        planes.store(emitter, result, first, count, row, rows)


def lower_max_pool(operation: Operation, emitter: Emitter) -> None:
    """`max_pool`."""
    planes = _planes(operation)
    window = _window(operation, planes, operation.integers("dilations", 2))
    operation.check(planes.source.type == planes.target.type, "input and output have different types")
    width = planes.target.tensor.shape[3]
    emitter.setup(
        MaxPoolSetup(
            input_type=planes.source.type,
            kernel_height=window.kernel[0],
            kernel_width=window.kernel[1],
            stride_height=1 if planes.target.tensor.shape[2] == 1 else window.strides[0],
            stride_width=1 if width == 1 else window.strides[1],
            dilation_height=window.dilations[0],
            dilation_width=window.dilations[1],
            pad_left=window.pads[1],
            input_width=planes.source.tensor.shape[3],
            output_width=width,
            low=operation.integer("low"),
            high=operation.integer("high"),
        )
    )
    for source, result, count, _, (rows, input_rows, above) in _emit_windows(emitter, planes, window, 0):
        tile = MaxPool(
            input=source.start,
            input_slots=input_rows,
            input_first=0,
            output=result.start,
            output_slots=rows,
            output_first=0,
            channels=count,
            input_rows=input_rows,
            output_rows=rows,
            pad_top=above,
        )
        emitter.compute(tile, (source,), result, count * planes.cells(input_rows, rows))


def lower_average_pool(operation: Operation, emitter: Emitter) -> None:
    """`average_pool`."""
    planes = _planes(operation)
    window = _window(operation, planes, (1, 1))
    include = operation.integer("count_include_pad")
    entries = _divisors(operation)
    padded_height = window.pads[0] + planes.source.tensor.shape[2] + window.pads[2]
    emitter.setup(_average_setup(operation, planes, window, len(entries)))
    parameters = emitter.buffer(entries.size)
    emitter.load_constants(emitter.add_constants(entries.tobytes()), entries.size, parameters)
    tiles = _emit_windows(emitter, planes, window, align(entries.size))
    for source, result, count, row, (rows, input_rows, above) in tiles:
        padded = min(window.span(0, rows), padded_height - row * window.strides[0])
        counted = padded if include else input_rows
        tile = AveragePool(
            input=source.start,
            input_slots=input_rows,
            input_first=0,
            parameters=parameters.start,
            output=result.start,
            output_slots=rows,
            output_first=0,
            channels=count,
            input_rows=input_rows,
            output_rows=rows,
            pad_top=above,
            counted_rows=counted,
        )
        emitter.compute(tile, (source, parameters), result, count * planes.cells(input_rows, rows))


def _average_setup(operation: Operation, planes: _Planes, window: _Window, entries: int) -> AveragePoolSetup:
    include = bool(operation.integer("count_include_pad"))
    input_width, width = planes.source.tensor.shape[3], planes.target.tensor.shape[3]
    padded_width = window.pads[1] + input_width + window.pads[3]
    return AveragePoolSetup(
        input_type=planes.source.type,
        output_type=planes.target.type,
        include_padding=int(include),
        kernel_height=window.kernel[0],
        kernel_width=window.kernel[1],
        stride_height=1 if planes.target.tensor.shape[2] == 1 else window.strides[0],
        stride_width=1 if width == 1 else window.strides[1],
        pad_left=window.pads[1],
        input_width=input_width,
        output_width=width,
        counted_width=min(window.span(1, width), padded_width) if include else input_width,
        entries=entries,
        input_zero=operation.integer("input_zero"),
        output_zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )


def _divisors(operation: Operation) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    count = operation.constant("count", (None,))
    scaling = scaling_columns(
        operation.constant("multiplier", count.shape), operation.constant("shift", count.shape)
    )
    operation.check(bool((np.diff(count) > 0).all()), "count is not ascending")
    return packed(operation, {"count": (count, 4, 1, 2**31 - 1), **scaling})


def lower_resize(operation: Operation, emitter: Emitter) -> None:
    """`resize_linear`: a tile loads the rows of the picture that its rows of output name."""
    planes = _planes(operation)
    height, width = planes.target.tensor.shape[2:]
    operation.check(planes.source.type == planes.target.type, "input and output have different types")
    rows = operation.constant("rows", (height, 2))
    row_table = _pairs(operation, rows, "row_weights", planes.source.tensor.shape[2])
    columns = operation.constant("columns", (width, 2))
    column_table = _pairs(operation, columns, "column_weights", planes.source.tensor.shape[3])
    emitter.setup(_resize_setup(operation, planes))
    lows, highs = rows.min(axis=1), rows.max(axis=1) + 1

    def sizes(box: Box) -> tuple[int, int, int]:
        starts = np.arange(0, height, box[1])
        span = int((np.maximum.reduceat(highs, starts) - np.minimum.reduceat(lows, starts)).max())
        lines = (box[0] * span * planes.input_line, box[0] * box[1] * planes.output_line)
        return align(lines[0]), align(lines[1]), align(box[1] * _ROW_BYTES)

    fixed = align(column_table.size)
    plan = plan_strips((planes.count, height), lambda box: sum(sizes(box)), fixed, emitter.capacity)
    table = emitter.buffer(column_table.size)
    emitter.load_constants(emitter.add_constants(column_table.tobytes()), column_table.size, table)
    row_address = emitter.add_constants(row_table.tobytes())
    inputs, results, tables = (emitter.ring(plan.buffers, size) for size in sizes(plan.box))
    for (first, row), (count, steps) in boxes((planes.count, height), plan.box):
        low, high = int(lows[row : row + steps].min()), int(highs[row : row + steps].max())
        source, result = inputs.take(), results.take()
        row_part, stale = tables.fetch((row, steps))
        if stale:
            emitter.load_constants(row_address + row * _ROW_BYTES, steps * _ROW_BYTES, row_part)
        planes.load(emitter, source, first, count, low, high - low)
        tile = Resize(
            input=source.start,
            input_slots=high - low,
            input_first=0,
            row_table=row_part.start,
            column_table=table.start,
            output=result.start,
            output_slots=steps,
            output_first=0,
            channels=count,
            input_rows=high - low,
            first_row=low,
            output_rows=steps,
        )
        emitter.compute(tile, (source, row_part, table), result, count * steps * width)
        planes.store(emitter, result, first, count, row, steps)


def _resize_setup(operation: Operation, planes: _Planes) -> ResizeSetup:
    return ResizeSetup(
        input_type=planes.source.type,
        input_width=planes.source.tensor.shape[3],
        output_width=planes.target.tensor.shape[3],
        zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )


def _pairs(
    operation: Operation, indices: np.ndarray[tuple[int, ...], np.dtype[np.int64]], role: str, extent: int
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
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
