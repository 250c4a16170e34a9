"""Operators on rows: sums, maxima and softmaxes along axes, and products of two tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modelbuild.npu.emitting.emitter import Buffer, Dimension, Emitter, Place, dense_strides
from modelbuild.npu.emitting.work import element_cycles, matmul_cycles
from modelbuild.npu.lowering.boxes import Box, boxes, plan_strips
from modelbuild.npu.lowering.elementwise import scaling
from modelbuild.npu.lowering.operation import Operation, packed
from modelbuild.npu.planning.memory import align
from modelbuild.npu.program import Instruction
from modelbuild.npu.program.setups import MatmulSetup, ReduceMaxSetup, ReduceSumSetup, SoftmaxSetup
from modelbuild.npu.program.tiles import Matmul, ReduceMax, ReduceSum, Softmax


@dataclass(frozen=True)
class _Rows:
    """A tensor seen as rows: (extent, stride in elements) of the axes across and along the rows."""

    across: tuple[tuple[int, int], ...]
    along: tuple[tuple[int, int], ...]

    @property
    def length(self) -> int:
        return math.prod(extent for extent, _ in self.along)

    def dimensions(self, box: Box, size: int) -> list[Dimension]:
        """The rectangle of a box of rows, in bytes; SRAM holds row after row."""
        counts = (*box, *(extent for extent, _ in self.along))
        strides = [stride * size for _, stride in (*self.across, *self.along)]
        return list(zip(counts, strides, dense_strides(counts, size), strict=True))

    def offset(self, starts: Box) -> int:
        return sum(start * stride for start, (_, stride) in zip(starts, self.across, strict=True))


def _rows(shape: Box, axes: set[int]) -> _Rows:
    strides = dense_strides(shape, 1)
    parts = list(zip(shape, strides, strict=True))
    across = [part for axis, part in enumerate(parts) if axis not in axes]
    return _Rows(_merged(across), tuple(part for axis, part in enumerate(parts) if axis in axes))


def _merged(axes: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for extent, stride in axes:
        if found and found[-1][1] == extent * stride:
            extent *= found.pop()[0]
        found.append((extent, stride))
    return tuple(found) or ((1, 1),)


def _axes(operation: Operation) -> set[int]:
    rank = len(operation.inputs[0].tensor.shape)
    axes = operation.integers("axes")
    operation.check(all(-rank <= axis < rank for axis in axes), "an axis is out of range")
    return {axis % rank for axis in axes}


def lower_reduce_sum(operation: Operation, emitter: Emitter) -> None:
    """`reduce_sum`."""
    source, target = operation.inputs[0], operation.output
    rows = _rows(source.tensor.shape, _axes(operation))
    setup = ReduceSumSetup(
        input_type=source.type,
        output_type=target.type,
        length=rows.length,
        input_zero=operation.integer("input_zero"),
        output_zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )
    _emit_rows(operation, emitter, setup, rows, scaling(operation), ReduceSum)


def lower_reduce_max(operation: Operation, emitter: Emitter) -> None:
    """`reduce_max`."""
    source = operation.inputs[0]
    operation.check(source.type == operation.output.type, "input and output have different types")
    rows = _rows(source.tensor.shape, _axes(operation))
    _emit_rows(operation, emitter, ReduceMaxSetup(source.type, rows.length), rows, b"", ReduceMax)


def lower_softmax(operation: Operation, emitter: Emitter) -> None:
    """`softmax`."""
    source, target = operation.inputs[0], operation.output
    rank = len(source.tensor.shape)
    axis = operation.integer("axis")
    operation.check(-rank <= axis < rank, "axis is out of range")
    rows = _rows(source.tensor.shape, {axis % rank})
    setup = SoftmaxSetup(
        input_type=source.type,
        output_type=target.type,
        length=rows.length,
        output_zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )
    table = np.append(operation.constant("table", (256 * source.type.size,)), operation.integer("one"))
    parameters = packed(operation, {"table": (table, 4, 0, 2**32 - 1)}).tobytes()
    _emit_rows(operation, emitter, setup, rows, parameters, Softmax)


def _emit_rows(
    operation: Operation,
    emitter: Emitter,
    setup: Instruction,
    rows: _Rows,
    parameters: bytes,
    kind: type[ReduceSum] | type[ReduceMax] | type[Softmax],
) -> None:
    source, target = operation.inputs[0], operation.output
    length = rows.length if kind is Softmax else 1
    extents = tuple(extent for extent, _ in rows.across)
    fits = math.prod(target.tensor.shape) == math.prod(extents) * length
    operation.check(fits, "the output's shape is wrong")
    results_as = rows if kind is Softmax else _Rows(_dense_axes(extents), ())

    def sizes(box: Box) -> tuple[int, int]:
        count = math.prod(box)
        return align(count * rows.length * source.type.size), align(count * length * target.type.size)

    plan = plan_strips(extents, lambda box: sum(sizes(box)), align(len(parameters)), emitter.capacity)
    emitter.setup(setup)
    constants = emitter.buffer(len(parameters))
    if parameters:
        emitter.load_record(operation.operator.name, parameters, constants)
    inputs, results = (emitter.ring(plan.buffers, size) for size in sizes(plan.box))
    for starts, box in boxes(extents, plan.box):
        buffer, result = inputs.take(), results.take()
        size = source.type.size
        emitter.load(source, rows.offset(starts) * size, size, rows.dimensions(box, size), buffer.start)
        count = math.prod(box)
        if kind is ReduceMax:
            tile: Instruction = ReduceMax(buffer.start, result.start, count)
        else:
            tile = kind(buffer.start, constants.start, result.start, count)  # type: ignore[call-arg]
        reads = [buffer.first(count * rows.length * size)]
        reads += [constants.first(len(parameters))] if parameters else []
        size = target.type.size
        written = (result.first(count * length * size),)
        emitter.compute(tile, element_cycles(count * rows.length, emitter.rates), reads, written)
        place = results_as.dimensions(box, size)
        emitter.store(result.start, target, results_as.offset(starts) * size, size, place)


def _dense_axes(extents: Box) -> tuple[tuple[int, int], ...]:
    return tuple(zip(extents, dense_strides(extents, 1), strict=True))


@dataclass(frozen=True)
class _Product:
    """first [..., height, inner] by second [..., inner, width], for each index of the leading axes."""

    first: Place
    second: Place
    target: Place
    leading: Box
    height: int
    inner: int
    width: int

    def sizes(self, box: Box) -> tuple[int, int, int]:
        """Bytes in SRAM of a tile of (rows, columns): of both operands and of the result."""
        rows, columns = box
        return (
            align(rows * self.inner * self.first.type.size),
            align(self.inner * columns * self.second.type.size),
            align(rows * columns * self.target.type.size),
        )

    def load_rows(self, emitter: Emitter, matrix: int, row: int, rows: int, to: Buffer) -> None:
        """Rows of a matrix of the first operand; they lie together."""
        size = self.first.type.size
        offset = (matrix * self.height + row) * self.inner * size
        emitter.load(self.first, offset, size, [(rows * self.inner, size, size)], to.start)

    def load_columns(self, emitter: Emitter, matrix: int, column: int, columns: int, to: Buffer) -> None:
        """Columns of a matrix of the second operand."""
        size = self.second.type.size
        offset = (matrix * self.inner * self.width + column) * size
        shape = [(self.inner, self.width * size, columns * size), (columns, size, size)]
        emitter.load(self.second, offset, size, shape, to.start)

    def store(self, emitter: Emitter, source: Buffer, matrix: int, start: Box, box: Box) -> None:
        """A tile of the result."""
        size, (row, column), (rows, columns) = self.target.type.size, start, box
        offset = ((matrix * self.height + row) * self.width + column) * size
        shape = [(rows, self.width * size, columns * size), (columns, size, size)]
        emitter.store(source.start, self.target, offset, size, shape)


def lower_matmul(operation: Operation, emitter: Emitter) -> None:
    """`matmul`: tiles of rows of the first operand by columns of the second."""
    product = _product(operation)
    emitter.setup(
        MatmulSetup(
            input_type=product.first.type,
            other_type=product.second.type,
            output_type=product.target.type,
            inner=product.inner,
            input_zero=operation.integer("input_zero"),
            other_zero=operation.integer("other_zero"),
            output_zero=operation.integer("output_zero"),
            low=operation.integer("low"),
            high=operation.integer("high"),
        )
    )
    _emit_product(product, emitter, scaling(operation), operation.operator.name)


def _product(operation: Operation) -> _Product:
    first, second, target = *operation.inputs, operation.output
    left, right = first.tensor.shape, second.tensor.shape
    operation.check(min(len(left), len(right)) >= 2 and left[-1] == right[-2], "the shapes do not fit")
    leading = np.broadcast_shapes(left[:-2], right[:-2])
    operation.check((*leading, left[-2], right[-1]) == target.tensor.shape, "the output's shape is wrong")
    return _Product(first, second, target, leading, left[-2], left[-1], right[-1])


def _emit_product(product: _Product, emitter: Emitter, parameters: bytes, name: str) -> None:
    extents = (product.height, product.width)
    fixed = align(len(parameters))
    plan = plan_strips(extents, lambda box: sum(product.sizes(box)), fixed, emitter.capacity)
    constants = emitter.buffer(len(parameters))
    emitter.load_record(name, parameters, constants)
    rings = [emitter.ring(plan.buffers, size) for size in product.sizes(plan.box)]
    wide = max(product.first.type.size, product.second.type.size) == 2
    for index, position in enumerate(np.ndindex(product.leading)):
        left, right = (_matrix(place, product.leading, position) for place in (product.first, product.second))
        for (row, column), (rows, columns) in boxes(extents, plan.box):
            a, fresh = rings[0].fetch((left, row))
            if fresh:
                product.load_rows(emitter, left, row, rows, a)
            b, fresh = rings[1].fetch((right, column))
            if fresh:
                product.load_columns(emitter, right, column, columns, b)
            result = rings[2].take()
            tile = Matmul(a.start, b.start, constants.start, result.start, rows, columns)
            reads = (
                a.first(rows * product.inner * product.first.type.size),
                b.first(product.inner * columns * product.second.type.size),
                constants.first(len(parameters)),
            )
            written = (result.first(rows * columns * product.target.type.size),)
            cycles = matmul_cycles(rows, product.inner, columns, wide, emitter.rates)
            emitter.compute(tile, cycles, reads, written)
            product.store(emitter, result, index, (row, column), (rows, columns))


def _matrix(place: Place, leading: Box, position: Box) -> int:
    """Which matrix of an operand meets the matrix at `position` of the broadcast leading axes."""
    own = place.tensor.shape[:-2]
    index = 0
    for extent, here in zip(own, position[len(leading) - len(own) :], strict=True):
        index = index * extent + (here if extent > 1 else 0)
    return index
