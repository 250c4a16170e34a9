"""Functions on tensors outside of layers that move numbers: reshape, concat, split, slices ..."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.keras.arguments import Arguments
from modelbuild.importers.keras.call import Call
from modelbuild.importers.keras.functions import outputs
from modelbuild.importers.keras.nodes import Place

_MAX_PARTS = 4096
Move = Callable[[str, str], None]  # from a tensor to the next


def reshape(arguments: Arguments) -> None:
    """Another shape of the same numbers, the batch among them; -1 is what is left."""
    call, data, target = arguments.call, arguments.tensor("x"), arguments.integers("shape")
    total = math.prod(call.shape(data))
    if target is None or target.count(-1) > 1 or not all(size > 0 or size == -1 for size in target):
        arguments.wrong("shape")
    known = math.prod(size for size in target if size != -1)
    sizes = [total // known if size == -1 else size for size in target]
    if math.prod(sizes) != total or len(sizes) > 8:
        call.fail(f"makes {target} of {list(call.shape(data))}", why="the number of values differs")
    ops.reshape(call.writer, data, call.output, tuple(sizes))


def transpose(arguments: Arguments) -> None:
    """The axes in another order, reversed where none is given."""
    call, data, perm = arguments.call, arguments.tensor("x"), arguments.integers("axes")
    rank = len(call.shape(data))
    perm = list(range(rank))[::-1] if perm is None else [a % rank if -rank <= a < rank else a for a in perm]
    if sorted(perm) != list(range(rank)):
        arguments.wrong("axes")
    ops.transpose(call.writer, data, call.output, perm)


def swap_axes(arguments: Arguments) -> None:
    """Two axes change places."""
    call, data = arguments.call, arguments.tensor("x")
    rank = len(call.shape(data))
    first, second = arguments.axis("axis1", rank), arguments.axis("axis2", rank)
    perm = list(range(rank))
    perm[first], perm[second] = second, first
    ops.transpose(call.writer, data, call.output, perm)


def move_axis(arguments: Arguments) -> None:
    """One axis to another place."""
    call, data = arguments.call, arguments.tensor("x")
    rank = len(call.shape(data))
    source, target = arguments.axis("source", rank), arguments.axis("destination", rank)
    perm = [axis for axis in range(rank) if axis != source]
    perm.insert(target, source)
    ops.transpose(call.writer, data, call.output, perm)


def expand_dims(arguments: Arguments) -> None:
    """A new axis of 1."""
    call, data = arguments.call, arguments.tensor("x")
    ops.expand(call.writer, data, call.output, arguments.axis("axis", len(call.shape(data)) + 1))


def squeeze(arguments: Arguments) -> None:
    """Without axes of 1: those given, or all."""
    call, data = arguments.call, arguments.tensor("x")
    shape = call.shape(data)
    axes = arguments.axes("axis", len(shape)) or [axis for axis, size in enumerate(shape) if size == 1]
    if any(shape[axis] != 1 for axis in axes):
        arguments.wrong("axis")
    ops.squeeze(call.writer, data, call.output, axes)


def concatenate(arguments: Arguments) -> None:
    """Tensors behind each other along `axis`."""
    call, tensors = arguments.call, arguments.tensors("x")
    rank = len(call.shape(tensors[0]))
    axis = arguments.axis("axis", rank, 0)
    if any(len(call.shape(name)) != rank for name in tensors):
        call.fail("joins tensors of different ranks")
    ops.along(call.writer, "Concat", tensors, [call.output], axis)


def stack(arguments: Arguments) -> None:
    """Tensors behind each other along a new axis."""
    call, tensors = arguments.call, arguments.tensors("x")
    axis = arguments.axis("axis", len(call.shape(tensors[0])) + 1, 0)
    wide = [call.scratch("wide") for _ in tensors]
    for name, target in zip(tensors, wide, strict=True):
        if len(call.shape(name)) != len(call.shape(tensors[0])):
            call.fail("joins tensors of different ranks")
        ops.expand(call.writer, name, target, axis)
    ops.along(call.writer, "Concat", wide, [call.output], axis)


def unstack(arguments: Arguments) -> None:
    """The parts of 1 along an axis, without it."""
    call, data = arguments.call, arguments.tensor("x")
    axis = arguments.axis("axis", len(call.shape(data)), 0)
    count = call.shape(data)[axis]
    if arguments.integer("num", count) != count or count > _MAX_PARTS:
        arguments.wrong("num")
    names = outputs(call, count)
    parts = [call.scratch("part") for _ in names]
    _split(call, data, parts, axis, [1] * count)
    for part, name in zip(parts, names, strict=True):
        ops.squeeze(call.writer, part, name, [axis])


def split(arguments: Arguments) -> None:
    """TensorFlow's split: equal parts, or the sizes of all, one of which may be -1."""
    call, data = arguments.call, arguments.tensor("x")
    axis = arguments.axis("axis", len(call.shape(data)), 0)
    size, sizes = call.shape(data)[axis], arguments.integers("sizes")
    if sizes is None:
        arguments.wrong("sizes")
    if not isinstance(arguments.raw("sizes"), list):
        sizes = _equal(arguments, "sizes", size, sizes[0])
    elif sizes.count(-1) == 1:
        sizes = [size - sum(sizes) - 1 if part == -1 else part for part in sizes]
    _parts(arguments, "sizes", data, axis, sizes)


def split_at(arguments: Arguments) -> None:
    """Keras 3's split: equal parts, or the places where parts begin."""
    call, data, name = arguments.call, arguments.tensor("x"), "indices_or_sections"
    axis = arguments.axis("axis", len(call.shape(data)), 0)
    size, given = call.shape(data)[axis], arguments.integers(name)
    if given is None:
        arguments.wrong(name)
    if not isinstance(arguments.raw(name), list):
        sizes = _equal(arguments, name, size, given[0])
    else:
        sizes = [after - before for before, after in pairwise([0, *given, size])]
    _parts(arguments, name, data, axis, sizes)


def _equal(arguments: Arguments, name: str, size: int, count: int) -> list[int]:
    if not 1 <= count <= _MAX_PARTS or size % count:
        arguments.wrong(name)
    return [size // count] * count


def _parts(arguments: Arguments, name: str, data: str, axis: int, sizes: list[int]) -> None:
    call = arguments.call
    if not sizes or min(sizes) < 1 or sum(sizes) != call.shape(data)[axis]:
        arguments.wrong(name)
    _split(call, data, outputs(call, len(sizes)), axis, sizes)


def _split(call: Call, data: str, names: Sequence[str], axis: int, sizes: list[int]) -> None:
    if len(names) == 1:
        call.elementwise("Identity", [data], names[0])
    else:
        ops.split(call.writer, data, names, axis, sizes)


def tile(arguments: Arguments) -> None:
    """Copies along each axis."""
    call, data, repeats = arguments.call, arguments.tensor("x"), arguments.integers("repeats")
    if repeats is None or len(repeats) != len(call.shape(data)) or not all(0 < n < 2**16 for n in repeats):
        arguments.wrong("repeats")
    ops.tile(call.writer, data, call.output, repeats)


def repeat(arguments: Arguments) -> None:
    """Each part along an axis several times."""
    call, data, count = arguments.call, arguments.tensor("x"), arguments.integer("repeats")
    shape = call.shape(data)
    axis = arguments.axis("axis", len(shape))
    if not 0 < count < 2**16:
        arguments.wrong("repeats")
    wide, tiled = call.scratch("wide"), call.scratch("tiled")
    ops.expand(call.writer, data, wide, axis + 1)
    ops.tile(call.writer, wide, tiled, [count if at == axis + 1 else 1 for at in range(len(shape) + 1)])
    ops.reshape(call.writer, tiled, call.output, (*shape[:axis], shape[axis] * count, *shape[axis + 1 :]))


def broadcast(arguments: Arguments) -> None:
    """Copies along axes of 1, up to a shape."""
    call, data, shape = arguments.call, arguments.tensor("x"), arguments.integers("shape")
    if shape is None or len(shape) < len(call.shape(data)) or not all(0 < size < 2**24 for size in shape):
        arguments.wrong("shape")
    ops.broadcast(call.writer, data, call.output, tuple(shape))


def flip(arguments: Arguments) -> None:
    """Backwards along axes."""
    call, data = arguments.call, arguments.tensor("x")
    shape = call.shape(data)
    axes = arguments.axes("axis", len(shape))
    turned = range(len(shape)) if axes is None else axes
    starts = [size - 1 if axis in turned else 0 for axis, size in enumerate(shape)]
    ends = [-size - 1 if axis in turned else size for axis, size in enumerate(shape)]
    steps = [-1 if axis in turned else 1 for axis in range(len(shape))]
    ops.cut(call.writer, data, call.output, starts, ends, steps)


def pad(arguments: Arguments) -> None:
    """More numbers around: one value, or a reflection."""
    call, data, amounts = arguments.call, arguments.tensor("x"), arguments.integers("paddings")
    rank = len(call.shape(data))
    if amounts is None or len(amounts) != 2 * rank or not all(0 <= n < 2**16 for n in amounts):
        arguments.wrong("paddings")
    mode = arguments.word("mode", "constant")
    if mode not in ("constant", "reflect"):
        arguments.wrong("mode")
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    ops.pad(call.writer, data, call.output, pairs, mode, arguments.real("constant_values", 0.0))


def shape(arguments: Arguments) -> None:
    """The sizes, which are known."""
    call = arguments.call
    sizes = np.array(call.shape(arguments.tensor("x")), np.int32)
    call.writer.constant(call.output, sizes)


def item(arguments: Arguments) -> None:
    """x[key]: slices, whole numbers, `...` and new axes."""
    call, data, key = arguments.call, arguments.tensor("x"), arguments.raw("key")
    sizes, parts = call.shape(data), list(key) if isinstance(key, list) else [key]
    taken = sum(part is not None and part is not ... for part in parts)
    if sum(part is ... for part in parts) > 1 or taken > len(sizes):
        arguments.wrong("key")
    if ... not in parts:
        parts.append(...)
    at = parts.index(...)
    parts[at : at + 1] = [slice(None)] * (len(sizes) - taken)
    ranges, gone, new = list[tuple[int, int, int]](), list[int](), list[int]()
    for place, part in enumerate(parts):
        if part is None:
            new.append(place - len(gone))
            continue
        gone += [] if isinstance(part, slice) else [len(ranges)]
        ranges.append(_range(arguments, part, sizes[len(ranges)]))
    _cut(call, data, ranges, gone, new)


def _cut(call: Call, data: str, ranges: list[tuple[int, int, int]], gone: list[int], new: list[int]) -> None:
    starts, ends, steps = ([row[column] for row in ranges] for column in range(3))
    moves: list[Move] = [lambda tensor, target: ops.cut(call.writer, tensor, target, starts, ends, steps)]
    if gone:
        moves.append(lambda tensor, target: ops.squeeze(call.writer, tensor, target, gone))
    moves += [
        lambda tensor, target, axis=axis: ops.expand(call.writer, tensor, target, axis)  # type: ignore[misc]
        for axis in new
    ]
    for move in moves[:-1]:
        target = call.scratch("item")
        move(data, target)
        data = target
    moves[-1](data, call.output)


def _range(arguments: Arguments, part: Any, size: int) -> tuple[int, int, int]:
    """Start, end and step for ONNX of one part of a key."""
    if not isinstance(part, slice):
        place = _whole(arguments, part)
        if not -size <= place < size:
            arguments.wrong("key")
        return place % size, place % size + 1, 1
    bounds = [None if n is None else _whole(arguments, n) for n in (part.start, part.stop, part.step)]
    if bounds[2] == 0:
        arguments.wrong("key")
    start, end, step = slice(*bounds).indices(size)
    return start, end if end >= 0 else -size - 1, step


def _whole(arguments: Arguments, value: Any) -> int:
    if isinstance(value, Place):
        known = arguments.call.writer.value(arguments.call.step.inputs[value.index])
        fits = known is not None and known.size == 1 and known.dtype.kind in "iu"
        value = int(known.reshape(())) if known is not None and fits else None
    if type(value) is not int or abs(value) >= 2**31:
        arguments.wrong("key")
    return value
