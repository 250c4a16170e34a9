"""Operators that put tensors into a larger one: pad and concat."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from modelbuild.npu.emitting.emitter import Buffer, Emitter, Place, dense_strides
from modelbuild.npu.emitting.timeline import Span
from modelbuild.npu.emitting.work import element_cycles
from modelbuild.npu.lowering.boxes import Box, boxes, plan_strips
from modelbuild.npu.lowering.movement import View, copy_views, part, tensor_strides
from modelbuild.npu.lowering.operation import Operation, packed, scaling_columns
from modelbuild.npu.planning.memory import align
from modelbuild.npu.planning.weights import RESCALE_BYTES
from modelbuild.npu.program.setups import RescaleSetup
from modelbuild.npu.program.tiles import Rescale


def lower_pad(operation: Operation, emitter: Emitter) -> None:
    """`pad`: the inside is copied, the border is stored from a stretch of SRAM that holds the value."""
    source, target = operation.inputs[0], operation.output
    operation.check(source.type == target.type, "input and output have different types")
    shape = source.tensor.shape
    before, behind = (operation.integers(name, len(shape)) for name in ("before", "after"))
    operation.check(min((*before, *behind), default=0) >= 0, "pads must not be negative")
    sizes = tuple(low + extent + high for low, extent, high in zip(before, shape, behind, strict=True))
    operation.check(sizes == target.tensor.shape, "the output's shape is wrong")
    strides = tensor_strides(sizes)
    borders = [_border(starts, box, sizes) for starts, box in _borders(shape, before, behind)]
    room = emitter.capacity
    if borders:
        longest = max(run for _, run, _ in borders)
        count = max(1, min(longest, emitter.capacity // 2 // target.type.size))
        value = emitter.buffer(count * target.type.size)
        room -= align(count * target.type.size)
        emitter.fill(value, target.type, operation.integer("value"), count)
        for border in borders:
            _store_constant(emitter, target, value, count, border)
    offset = sum(low * stride for low, stride in zip(before, strides, strict=True))
    axes = tuple(zip(shape, tensor_strides(shape), strides, strict=True))
    copy_views(emitter, source, target, [View(0, offset, axes)], room)


def _borders(shape: Box, before: Box, behind: Box) -> Iterator[tuple[Box, Box]]:
    """Starts and extents of disjoint boxes that make up everything around the inside."""
    for axis, extent in enumerate(shape):
        inner = tuple(low + size + high for low, size, high in zip(before, shape, behind, strict=True))[
            axis + 1 :
        ]
        for start, size in ((0, before[axis]), (before[axis] + extent, behind[axis])):
            if size:
                yield (*before[:axis], start, *([0] * len(inner))), (*shape[:axis], size, *inner)


_Border = tuple[int, int, list[tuple[int, int]]]  # offset, contiguous run, loops around it; elements


def _border(starts: Box, box: Box, sizes: Box) -> _Border:
    strides = tensor_strides(sizes)
    offset = sum(start * stride for start, stride in zip(starts, strides, strict=True))
    loops = list(zip(box, strides, strict=True))
    run = 1
    while loops and loops[-1][1] == run:
        run *= loops.pop()[0]
    return offset, run, [loop for loop in loops if loop[0] > 1]


def _store_constant(emitter: Emitter, target: Place, value: Buffer, count: int, border: _Border) -> None:
    offset, run, loops = border
    size = target.type.size
    for start in range(0, run, count):
        length = min(count, run - start)
        shape = [(repeats, stride * size, 0) for repeats, stride in loops]
        covers = Span(value.start, length * size)
        emitter.store(value.start, target, (offset + start) * size, length * size, shape, covers)


def lower_concat(operation: Operation, emitter: Emitter) -> None:
    """`concat`: each input is copied, or rescaled on its way where its scale is another one."""
    target = operation.output
    rank = len(target.tensor.shape)
    axis = operation.integer("axis")
    operation.check(-rank <= axis < rank, "axis is out of range")
    axis %= rank
    names = ("input_zeros", "multipliers", "shifts")
    scalings = list(zip(*(operation.integers(name, len(operation.inputs)) for name in names), strict=True))
    strides = tensor_strides(target.tensor.shape)
    position = 0
    room = emitter.capacity // max(1, len(operation.inputs) - len(operation.ready))
    for number, (source, (zero, multiplier, shift)) in enumerate(
        zip(operation.inputs, scalings, strict=True)
    ):
        shape = source.tensor.shape
        fits = len(shape) == rank and all(
            mine == whole or index == axis
            for index, (mine, whole) in enumerate(zip(shape, target.tensor.shape, strict=True))
        )
        operation.check(fits, "an input's shape does not fit the output's")
        axes = tuple(zip(shape, tensor_strides(shape), strides, strict=True))
        view = View(0, position * strides[axis], axes).merged()
        position += shape[axis]
        if number in operation.ready:
            continue
        if _changes_nothing(operation, source, zero, multiplier, shift):
            copy_views(emitter, source, target, [view], room)
        else:
            _rescale_view(operation, emitter, source, view, (zero, multiplier, shift), room)
    operation.check(position == target.tensor.shape[axis], "the output's shape is wrong")


def _changes_nothing(operation: Operation, source: Place, zero: int, multiplier: int, shift: int) -> bool:
    kind = operation.output.type
    return (
        (multiplier, shift) == (1, 0)
        and zero == operation.integer("output_zero")
        and source.type == kind
        and operation.integer("low") <= source.tensor.low
        and operation.integer("high") >= source.tensor.high
    )


def _rescale_view(
    operation: Operation,
    emitter: Emitter,
    source: Place,
    view: View,
    scaling: tuple[int, int, int],
    room: int,
) -> None:
    target = operation.output
    zero, *factors = scaling
    columns = scaling_columns(np.array([factors[0]]), np.array([factors[1]]))
    record = packed(operation, columns).tobytes() * 2
    extents = [count for count, _, _ in view.axes]

    def sizes(box: Box) -> tuple[int, int]:
        return align(math.prod(box) * source.type.size), align(math.prod(box) * target.type.size)

    plan = plan_strips(extents, lambda box: sum(sizes(box)), align(RESCALE_BYTES), room)
    low, high, output_zero = (operation.integer(name) for name in ("low", "high", "output_zero"))
    emitter.setup(RescaleSetup(source.type, target.type, zero, output_zero, low, high))
    parameters = emitter.buffer(RESCALE_BYTES)
    emitter.load_record(operation.operator.name, record, parameters)
    inputs, results = (emitter.ring(plan.buffers, size) for size in sizes(plan.box))
    for starts, box in boxes(extents, plan.box):
        buffer, result = inputs.take(), results.take()
        for_input, for_output = (dense_strides(box, place.type.size) for place in (source, target))
        emitter.load(source, *part(view, 1, starts, box, for_input, source.type.size), buffer.start)
        count = math.prod(box)
        tile = Rescale(
            input=buffer.start,
            input_slots=1,
            input_first=0,
            parameters=parameters.start,
            output=result.start,
            output_slots=1,
            output_first=0,
            planes=1,
            rows=1,
            columns=count,
        )
        reads = buffer.first(count * source.type.size), parameters.first(RESCALE_BYTES)
        written = (result.first(count * target.type.size),)
        emitter.compute(tile, element_cycles(count, emitter.rates), reads, written)
        emitter.store(result.start, target, *part(view, 2, starts, box, for_output, target.type.size))
