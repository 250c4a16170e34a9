"""Sums and products by themselves: any two operands that broadcast, in boxes of up to three axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from modelbuild.npu.emitting.emitter import Buffer, Emitter, Place, dense_strides
from modelbuild.npu.emitting.work import binary_cells, element_cycles
from modelbuild.npu.lowering.boxes import Box, boxes, plan_strips
from modelbuild.npu.lowering.elementwise import binary_setup, scaling, sum_record
from modelbuild.npu.lowering.operation import Operation
from modelbuild.npu.planning.memory import align
from modelbuild.npu.program.tiles import Binary


@dataclass(frozen=True)
class _Axis:
    """Neighbouring axes of a broadcast operation that behave alike."""

    extent: int
    input_fixed: bool  # the first operand has extent 1 here
    other_fixed: bool


def lower_add(operation: Operation, emitter: Emitter) -> None:
    """`add`."""
    _lower_binary(operation, emitter, 0, sum_record(operation))


def lower_multiply(operation: Operation, emitter: Emitter) -> None:
    """`multiply`."""
    _lower_binary(operation, emitter, 1, scaling(operation))


def _lower_binary(operation: Operation, emitter: Emitter, function: int, parameters: bytes) -> None:
    source, other = operation.inputs
    axes = _merged_axes(operation)
    outer = axes[:-3]
    emitter.setup(binary_setup(operation, function, _mask(axes[-3:])))
    operands = (
        _Operand(source, tuple(axis.input_fixed for axis in axes)),
        _Operand(other, tuple(axis.other_fixed for axis in axes)),
        _Operand(operation.output, (False,) * len(axes)),
    )
    extents = tuple(axis.extent for axis in axes)

    def sizes(box: Box) -> list[int]:
        whole = (1,) * len(outer) + box
        return [align(operand.size(whole)) for operand in operands]

    inner = extents[len(outer) :]
    plan = plan_strips(inner, lambda box: sum(sizes(box)), align(len(parameters)), emitter.capacity)
    constants = emitter.buffer(len(parameters))
    emitter.load_record(operation.operator.name, parameters, constants)
    double = outer and emitter.capacity >= 2 * sum(sizes(plan.box)) + align(len(parameters))
    rings = [emitter.ring(2 if double else plan.buffers, size) for size in sizes(plan.box)]
    for starts, box in boxes(extents, (1,) * len(outer) + plan.box):
        buffers = [ring.take() for ring in rings]
        for operand, buffer in zip(operands[:2], buffers, strict=False):
            offset, element, shape = operand.rectangle(extents, starts, box)
            emitter.load(operand.place, offset, element, shape, buffer.start)
        spans = [buffer.first(item.size(box)) for buffer, item in zip(buffers, operands, strict=True)]
        first, second, result = (_extents(operand, len(outer), box) for operand in operands)
        cycles = element_cycles(binary_cells(result, first, second), emitter.rates)
        tile = _tile(buffers, constants, operands, (len(outer), box))
        emitter.compute(tile, cycles, (*spans[:2], constants.first(len(parameters))), spans[2:])
        offset, element, shape = operands[2].rectangle(extents, starts, box)
        emitter.store(buffers[2].start, operands[2].place, offset, element, shape)


def _tile(
    buffers: Sequence[Buffer], constants: Buffer, operands: Sequence[_Operand], inside: tuple[int, Box]
) -> Binary:
    """`inside`: how many axes lie around the box, and the box."""
    outer, box = inside
    slots = [_extents(operand, outer, box)[1] for operand in operands]
    return Binary(
        input=buffers[0].start,
        input_slots=slots[0],
        input_first=0,
        other=buffers[1].start,
        other_slots=slots[1],
        other_first=0,
        parameters=constants.start,
        output=buffers[2].start,
        output_slots=slots[2],
        output_first=0,
        planes=box[outer],
        rows=box[outer + 1],
        columns=box[outer + 2],
    )


def _extents(operand: _Operand, outer: int, box: Box) -> tuple[int, int, int]:
    planes, rows, columns = operand.own(box)[outer:]
    return planes, rows, columns


def _mask(inner: Sequence[_Axis]) -> int:
    return sum(axis.input_fixed << bit | axis.other_fixed << (bit + 3) for bit, axis in enumerate(inner))


@dataclass(frozen=True)
class _Operand:
    """One tensor of a broadcast operation: where it has extent 1."""

    place: Place
    fixed: tuple[bool, ...]

    def own(self, values: Box) -> Box:
        """Extents of the whole operation -> those of this operand."""
        return tuple(1 if fixed else value for fixed, value in zip(self.fixed, values, strict=True))

    def size(self, box: Box) -> int:
        """Bytes of the operand in a box of the operation."""
        return math.prod(self.own(box)) * self.place.type.size

    def rectangle(self, extents: Box, starts: Box, box: Box) -> tuple[int, int, list[tuple[int, int, int]]]:
        """Offset, element size and dimensions of the operand's part in a box."""
        element = self.place.type.size
        strides = dense_strides(self.own(extents), element)
        counts = self.own(box)
        offset = sum(
            0 if fixed else start * stride
            for fixed, start, stride in zip(self.fixed, starts, strides, strict=True)
        )
        return offset, element, list(zip(counts, strides, dense_strides(counts, element), strict=True))


def _merged_axes(operation: Operation) -> list[_Axis]:
    shape = operation.output.tensor.shape
    operands = [
        (1,) * (len(shape) - len(place.tensor.shape)) + place.tensor.shape for place in operation.inputs
    ]
    for operand in operands:
        fits = len(operand) == len(shape) and all(
            extent in (1, whole) for extent, whole in zip(operand, shape, strict=True)
        )
        operation.check(fits, f"an input does not broadcast to {shape}")
    axes = [
        _Axis(whole, first != whole, second != whole)
        for whole, first, second in zip(shape, *operands, strict=True)
        if whole != 1
    ]
    merged = [
        _Axis(math.prod(axis.extent for axis in group), *fixed)
        for fixed, group in groupby(axes, key=lambda axis: (axis.input_fixed, axis.other_fixed))
    ]
    return [_Axis(1, False, False)] * (3 - len(merged)) + merged
