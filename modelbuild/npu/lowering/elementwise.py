"""Operators that treat every element alike: sums and products, rescaling, PReLU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from modelbuild.npu.emitter import Emitter, Place, dense_strides
from modelbuild.npu.lowering.operation import Operation, packed, scaling_columns
from modelbuild.npu.memory import align
from modelbuild.npu.program import ElementType, Instruction
from modelbuild.npu.program.setups import BinarySetup, RescaleSetup
from modelbuild.npu.program.tiles import Binary, Curve, Rescale, Table
from modelbuild.npu.tiling import Box, boxes, plan_strips
from modelbuild.npu.timeline import Buffer

RESCALE_BYTES = 10  # multiplier and shift for values >= 0, then for values < 0


@dataclass(frozen=True)
class _Axis:
    """Neighbouring axes of a broadcast operation that behave alike."""

    extent: int
    input_fixed: bool  # the first operand has extent 1 here
    other_fixed: bool


def lower_add(operation: Operation, emitter: Emitter) -> None:
    """`add`."""
    multipliers = [np.array([operation.integer(f"{name}_multiplier")]) for name in ("input", "other")]
    second = scaling_columns(multipliers[1], np.array([operation.integer("shift")]), "other ")
    first = scaling_columns(multipliers[0], np.array([0]))
    del first["shift"]
    _lower_binary(operation, emitter, 0, packed(operation, {**first, **second}).tobytes())


def lower_multiply(operation: Operation, emitter: Emitter) -> None:
    """`multiply`."""
    _lower_binary(operation, emitter, 1, scaling(operation))


def scaling(operation: Operation) -> bytes:
    """The operator's multiplier and shift as they lie among the constants."""
    multiplier, shift = (np.array([operation.integer(name)]) for name in ("multiplier", "shift"))
    return packed(operation, scaling_columns(multiplier, shift)).tobytes()


def _lower_binary(operation: Operation, emitter: Emitter, function: int, parameters: bytes) -> None:
    source, other = operation.inputs
    axes = _merged_axes(operation)
    outer = axes[:-3]
    emitter.setup(_binary_setup(operation, function, axes[-3:]))
    operands = (
        _Operand(source, tuple(axis.input_fixed for axis in axes)),
        _Operand(other, tuple(axis.other_fixed for axis in axes)),
        _Operand(operation.output, (False,) * len(axes)),
    )
    extents = tuple(axis.extent for axis in axes)

    def sizes(box: Box) -> list[int]:
        whole = (1,) * len(outer) + box
        return [align(operand.size(whole)) for operand in operands]

    inner_extents = extents[len(outer) :]
    plan = plan_strips(inner_extents, lambda box: sum(sizes(box)), align(len(parameters)), emitter.capacity)
    constants = emitter.buffer(len(parameters))
    emitter.load_constants(emitter.add_constants(parameters), len(parameters), constants)
    count = (
        2 if outer and emitter.capacity >= 2 * sum(sizes(plan.box)) + align(len(parameters)) else plan.buffers
    )
    rings = [emitter.ring(count, size) for size in sizes(plan.box)]
    for starts, box in boxes(extents, (1,) * len(outer) + plan.box):
        buffers = [ring.take() for ring in rings]
        for operand, buffer in zip(operands[:2], buffers, strict=False):
            offset, element, shape = operand.rectangle(extents, starts, box)
            emitter.load(operand.place, offset, element, shape, buffer)
        first, second, result = buffers
        inner = box[len(outer) :]
        rows = [operand.own(box)[-2] for operand in operands]
        tile = Binary(
            input=first.start,
            input_slots=rows[0],
            input_first=0,
            other=second.start,
            other_slots=rows[1],
            other_first=0,
            parameters=constants.start,
            output=result.start,
            output_slots=rows[2],
            output_first=0,
            planes=inner[0],
            rows=inner[1],
            columns=inner[2],
        )
        emitter.compute(tile, (first, second, constants), result, math.prod(box))
        offset, element, shape = operands[2].rectangle(extents, starts, box)
        emitter.store(result, operands[2].place, offset, element, shape)


def _binary_setup(operation: Operation, function: int, inner: Sequence[_Axis]) -> BinarySetup:
    source, other = operation.inputs
    mask = sum(axis.input_fixed << bit | axis.other_fixed << (bit + 3) for bit, axis in enumerate(inner))
    return BinarySetup(
        function=function,
        input_type=source.type,
        other_type=other.type,
        output_type=operation.output.type,
        broadcast=mask,
        input_zero=operation.integer("input_zero"),
        other_zero=operation.integer("other_zero"),
        output_zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )


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


def lower_rescale(operation: Operation, emitter: Emitter) -> None:
    """`rescale`."""
    elements = math.prod(operation.output.tensor.shape)
    operation.check(math.prod(operation.inputs[0].tensor.shape) == elements, "the shapes do not fit")
    _stream(operation, emitter, _rescale_setup(operation), (1, 1, elements), _rescale_record(operation))


def cells(
    kind: type[Rescale | Table | Curve],
    source: Buffer,
    parameters: Buffer,
    result: Buffer,
    extents: tuple[int, int, int],
) -> Instruction:
    """A tile of planes x rows x columns, dense."""
    planes, rows, columns = extents
    return kind(
        input=source.start,
        input_slots=rows,
        input_first=0,
        parameters=parameters.start,
        output=result.start,
        output_slots=rows,
        output_first=0,
        planes=planes,
        rows=rows,
        columns=columns,
    )


def _rescale_setup(operation: Operation) -> RescaleSetup:
    return RescaleSetup(
        input_type=operation.inputs[0].type,
        output_type=operation.output.type,
        input_zero=operation.integer("input_zero"),
        output_zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )


def _rescale_record(operation: Operation) -> bytes:
    return scaling(operation) * 2


def lower_prelu(operation: Operation, emitter: Emitter) -> None:
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
    records = packed(operation, {**positive, **negative}).tobytes()
    extents = (shape[0], channels, math.prod(shape[2:]))
    _stream(operation, emitter, _rescale_setup(operation), extents, records)


def _stream(
    operation: Operation, emitter: Emitter, setup: RescaleSetup, extents: tuple[int, int, int], records: bytes
) -> None:
    """Tiles of images x channels x elements; a record of parameters a channel."""
    source, target = operation.inputs[0], operation.output
    images, channels, _ = extents

    def sizes(box: Box) -> tuple[int, int, int]:
        elements = box[0] * box[1]
        return (
            align(box[0] * RESCALE_BYTES),
            align(elements * source.type.size),
            align(elements * target.type.size),
        )

    plan = plan_strips(extents[1:], lambda box: sum(sizes(box)), 0, emitter.capacity)
    emitter.setup(setup)
    address = emitter.add_constants(records)
    parameters, inputs, results = (emitter.ring(plan.buffers, size) for size in sizes(plan.box))
    for (image, channel, start), (_, count, length) in boxes((images, *extents[1:]), (1, *plan.box)):
        record, stale = parameters.fetch((channel, count))
        if stale:
            emitter.load_constants(address + channel * RESCALE_BYTES, count * RESCALE_BYTES, record)
        buffer, result = inputs.take(), results.take()
        first = (image * channels + channel) * extents[2] + start
        emitter.load(source, *_strip(first, count, length, extents[2], source.type), buffer)
        tile = cells(Rescale, buffer, record, result, (count, 1, length))
        emitter.compute(tile, (buffer, record), result, count * length)
        emitter.store(result, target, *_strip(first, count, length, extents[2], target.type))


def _strip(
    first: int, count: int, length: int, row: int, kind: ElementType
) -> tuple[int, int, list[tuple[int, int, int]]]:
    size = kind.size
    return first * size, size, [(count, row * size, length * size), (length, size, size)]
