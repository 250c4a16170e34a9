"""Operators on rows: sums, maxima and softmaxes along axes, and products of two tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modelbuild.npu.emitter import Dimension, Emitter, Place, dense_strides
from modelbuild.npu.lowering.elementwise import scaling
from modelbuild.npu.lowering.operation import Operation, packed
from modelbuild.npu.memory import align
from modelbuild.npu.program import Instruction
from modelbuild.npu.program.setups import MatmulSetup, ReduceMaxSetup, ReduceSumSetup, SoftmaxSetup
from modelbuild.npu.program.tiles import Matmul, ReduceMax, ReduceSum, Softmax
from modelbuild.npu.tiling import Box, boxes, plan_strips


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
    operation.check(source.type.size == 1, "softmax needs an input of 8 bits")
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
    table = np.append(operation.constant("table", (256,)), operation.integer("one"))
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
    operation.check(
        math.prod(target.tensor.shape) == math.prod(extents) * length, "the output's shape is wrong"
    )
    results_as = rows if kind is Softmax else _Rows(_dense_axes(extents), ())

    def sizes(box: Box) -> tuple[int, int]:
        count = math.prod(box)
        return align(count * rows.length * source.type.size), align(count * length * target.type.size)

    plan = plan_strips(extents, lambda box: sum(sizes(box)), align(len(parameters)), emitter.capacity)
    emitter.setup(setup)
    constants = emitter.buffer(len(parameters))
    if parameters:
        emitter.load_constants(emitter.add_constants(parameters), len(parameters), constants)
    inputs, results = (emitter.ring(plan.buffers, size) for size in sizes(plan.box))
    for starts, box in boxes(extents, plan.box):
        buffer, result = inputs.take(), results.take()
        size = source.type.size
        emitter.load(source, rows.offset(starts) * size, size, rows.dimensions(box, size), buffer)
        count = math.prod(box)
        if kind is ReduceMax:
            tile: Instruction = ReduceMax(buffer.start, result.start, count)
        else:
            tile = kind(buffer.start, constants.start, result.start, count)  # type: ignore[call-arg]
        reads = (buffer, constants) if parameters else (buffer,)
        emitter.compute(tile, reads, result, count * rows.length)
        size = target.type.size
        emitter.store(
            result, target, results_as.offset(starts) * size, size, results_as.dimensions(box, size)
        )


def _dense_axes(extents: Box) -> tuple[tuple[int, int], ...]:
    return tuple(zip(extents, dense_strides(extents, 1), strict=True))


def lower_matmul(operation: Operation, emitter: Emitter) -> None:
    """`matmul`: tiles of rows of a by columns of b, for each index of the leading axes."""
    first, second, target = *operation.inputs, operation.output
    left, right = first.tensor.shape, second.tensor.shape
    operation.check(min(len(left), len(right)) >= 2 and left[-1] == right[-2], "the shapes do not fit")
    height, inner, width = left[-2], left[-1], right[-1]
    leading = np.broadcast_shapes(left[:-2], right[:-2])
    operation.check((*leading, height, width) == target.tensor.shape, "the output's shape is wrong")
    emitter.setup(
        MatmulSetup(
            input_type=first.type,
            other_type=second.type,
            output_type=target.type,
            inner=inner,
            input_zero=operation.integer("input_zero"),
            other_zero=operation.integer("other_zero"),
            output_zero=operation.integer("output_zero"),
            low=operation.integer("low"),
            high=operation.integer("high"),
        )
    )
    parameters = scaling(operation)

    def sizes(box: Box) -> tuple[int, int, int]:
        rows, columns = box
        return (
            align(rows * inner * first.type.size),
            align(inner * columns * second.type.size),
            align(rows * columns * target.type.size),
        )

    fixed = align(len(parameters))
    plan = plan_strips((height, width), lambda box: sum(sizes(box)), fixed, emitter.capacity)
    constants = emitter.buffer(len(parameters))
    emitter.load_constants(emitter.add_constants(parameters), len(parameters), constants)
    rings = [emitter.ring(plan.buffers, size) for size in sizes(plan.box)]
    for index, position in enumerate(np.ndindex(leading)):
        matrices = [_matrix(place, leading, position) for place in (first, second)]
        for (row, column), (rows, columns) in boxes((height, width), plan.box):
            a, fresh = rings[0].fetch((matrices[0], row))
            if fresh:
                size = first.type.size
                offset = (matrices[0] * height + row) * inner * size
                emitter.load(first, offset, size, [(rows * inner, size, size)], a)
            b, fresh = rings[1].fetch((matrices[1], column))
            if fresh:
                size = second.type.size
                offset = (matrices[1] * inner * width + column) * size
                shape = [(inner, width * size, columns * size), (columns, size, size)]
                emitter.load(second, offset, size, shape, b)
            result = rings[2].take()
            tile = Matmul(a.start, b.start, constants.start, result.start, rows, columns)
            work = rows * columns * inner
            emitter.compute(tile, (a, b, constants), result, work, emitter.rates.macs_pointwise)
            size = target.type.size
            offset = ((index * height + row) * width + column) * size
            shape = [(rows, width * size, columns * size), (columns, size, size)]
            emitter.store(result, target, offset, size, shape)


def _matrix(place: Place, leading: Box, position: Box) -> int:
    """Which matrix of an operand meets the matrix at `position` of the broadcast leading axes."""
    own = place.tensor.shape[:-2]
    index = 0
    for extent, here in zip(own, position[len(leading) - len(own) :], strict=True):
        index = index * extent + (here if extent > 1 else 0)
    return index
