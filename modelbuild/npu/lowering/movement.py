"""Operators that only move integers: strided copies through SRAM."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelbuild.npu.emitting.emitter import Dimension, Emitter, Place, dense_strides
from modelbuild.npu.lowering.boxes import Box, boxes, plan_strips
from modelbuild.npu.lowering.operation import Operation
from modelbuild.npu.planning.memory import align


@dataclass(frozen=True)
class View:
    """A rectangle of one tensor that becomes a rectangle of another, in elements: offsets, and for every axis
    (count, stride in the source, stride in the target)."""

    source: int
    target: int
    axes: tuple[tuple[int, int, int], ...]

    def merged(self) -> View:
        """The same rectangle with as few axes as possible, at least one."""
        found: list[tuple[int, int, int]] = []
        for count, source, target in reversed(self.axes):
            if count == 1:
                continue
            if found:
                inner, step, advance = found[-1]
                if (source, target) == (inner * step, inner * advance):
                    found[-1] = (inner * count, step, advance)
                    continue
            found.append((count, source, target))
        return View(self.source, self.target, tuple(reversed(found)) or ((1, 1, 1),))


def tensor_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides in elements."""
    return dense_strides(shape, 1)


def copy_views(emitter: Emitter, source: Place, target: Place, views: Sequence[View], room: int) -> None:
    """Copies rectangles of one tensor to another of the same type through `room` bytes of SRAM."""
    size = source.type.size
    merged = [view.merged() for view in views]
    plans = [
        plan_strips([axis[0] for axis in view.axes], lambda box: align(math.prod(box) * size), 0, room)
        for view in merged
    ]
    largest = max(align(math.prod(plan.box) * size) for plan in plans)
    double = len(plans) > 1 or plans[0].buffers == 2
    ring = emitter.ring(2 if double and 2 * largest <= room else 1, largest)
    for view, plan in zip(merged, plans, strict=True):
        for starts, box in boxes([axis[0] for axis in view.axes], plan.box):
            buffer = ring.take()
            dense = dense_strides(box, size)
            emitter.load(source, *part(view, 1, starts, box, dense, size), buffer.start)
            emitter.store(buffer.start, target, *part(view, 2, starts, box, dense, size))


def _copy(operation: Operation, emitter: Emitter, views: Sequence[View]) -> None:
    """Copies rectangles of the one input to the output."""
    source, target = operation.inputs[0], operation.output
    operation.check(source.type == target.type, "input and output have different types")
    copy_views(emitter, source, target, views, emitter.capacity)


def part(
    view: View, side: int, starts: Box, box: Box, dense: Box, size: int
) -> tuple[int, int, list[Dimension]]:
    """Offset, element size and dimensions of a box of a view, on side 1 (source) or 2 (target)."""
    strides = [axis[side] for axis in view.axes]
    base = view.source if side == 1 else view.target
    offset = base + sum(start * stride for start, stride in zip(starts, strides, strict=True))
    shape = [
        (count, stride * size, inside) for count, stride, inside in zip(box, strides, dense, strict=True)
    ]
    return offset * size, size, shape


def lower_reshape(operation: Operation, emitter: Emitter) -> None:
    """`reshape` that could not share its input's memory."""
    elements = math.prod(operation.output.tensor.shape)
    operation.check(math.prod(operation.inputs[0].tensor.shape) == elements, "the shapes do not fit")
    _copy(operation, emitter, [View(0, 0, ((elements, 1, 1),))])


def lower_transpose(operation: Operation, emitter: Emitter) -> None:
    """`transpose`."""
    shape = operation.inputs[0].tensor.shape
    order = operation.integers("perm", len(shape))
    operation.check(sorted(order) == list(range(len(shape))), "perm is not a permutation")
    after = tuple(shape[axis] for axis in order)
    operation.check(after == operation.output.tensor.shape, "the output's shape is wrong")
    before = tensor_strides(shape)
    axes = zip(after, (before[axis] for axis in order), tensor_strides(after), strict=True)
    _copy(operation, emitter, [View(0, 0, tuple(axes))])


def lower_slice(operation: Operation, emitter: Emitter) -> None:
    """`slice`."""
    shape = operation.inputs[0].tensor.shape
    bounds = [operation.integers(name, len(shape)) for name in ("starts", "ends", "steps")]
    operation.check(min(bounds[2], default=1) > 0, "steps must be positive")
    ranges = [range(*slice(*bound).indices(extent)) for *bound, extent in zip(*bounds, shape, strict=True)]
    counts = tuple(len(part) for part in ranges)
    operation.check(counts == operation.output.tensor.shape, "the output's shape is wrong")
    strides = tensor_strides(shape)
    offset = sum(part.start * stride for part, stride in zip(ranges, strides, strict=True))
    steps = [part.step * stride for part, stride in zip(ranges, strides, strict=True)]
    _copy(
        operation, emitter, [View(offset, 0, tuple(zip(counts, steps, tensor_strides(counts), strict=True)))]
    )


def lower_gather(operation: Operation, emitter: Emitter) -> None:
    """`gather`: one rectangle for each run of evenly spaced indices."""
    shape = operation.inputs[0].tensor.shape
    axis = operation.integer("axis")
    operation.check(-len(shape) <= axis < len(shape), "axis is out of range")
    axis %= len(shape)
    indices = operation.constant("indices", (None,))
    operation.check(bool(((indices >= 0) & (indices < shape[axis])).all()), "an index is out of range")
    after = (*shape[:axis], len(indices), *shape[axis + 1 :])
    operation.check(after == operation.output.tensor.shape, "the output's shape is wrong")
    before_strides, after_strides = tensor_strides(shape), tensor_strides(after)
    outer = tuple(zip(after, before_strides, after_strides, strict=True))
    views = []
    for position, first, count, step, repeat in _runs([int(index) for index in indices]):
        source, target = before_strides[axis], after_strides[axis]
        here = ((count, step * source, repeat * target), (repeat, 0, target))
        axes = (*outer[:axis], *here, *outer[axis + 1 :])
        views.append(View(first * source, position * target, axes))
    _copy(operation, emitter, views)


def _runs(indices: list[int]) -> Iterator[tuple[int, int, int, int, int]]:
    """Cuts indices into (position, first index, count, step >= 0, repeats of each)."""
    pairs = [(index, len(list(group))) for index, group in itertools.groupby(indices)]
    position = 0
    start = 0
    while start < len(pairs):
        first, repeat = pairs[start]
        end = start + 1
        step = pairs[end][0] - first if end < len(pairs) else 0
        if step > 0:
            while end < len(pairs) and pairs[end] == (pairs[end - 1][0] + step, repeat):
                end += 1
        yield position, first, end - start, step if end - start > 1 else 0, repeat
        position += (end - start) * repeat
        start = end
