"""STRIDED_SLICE: TensorFlow's x[1:, ..., ::2, 0, None] as numbers and masks."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.tflite.layer import Layer


@dataclass
class _Cut:
    """One entry an axis of the data; what the result's axes are made of."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)  # axes of the data that an index takes out
    added: list[int] = field(default_factory=list)  # places of new axes among the result's


def strided_slice(layer: Layer) -> None:
    """Begin, end and stride of each entry; masks say which of them are left open, are an index (`shrink`),
    a new axis, or stand for all axes in between (`ellipsis`)."""
    shape = layer.shape(0)
    found = _read(layer, shape)
    w, name = layer.writer, layer.input(0)
    steps = [bool(found.dropped), bool(found.added)]
    target = w.scratch(f"{layer.output}_cut") if any(steps) else layer.output
    ops.cut(w, name, target, found.starts, found.ends, found.steps)
    if found.dropped:
        name, target = target, w.scratch(f"{layer.output}_squeezed") if found.added else layer.output
        ops.squeeze(w, name, target, found.dropped)
    for index, axis in enumerate(found.added):
        last = index == len(found.added) - 1
        name, target = target, layer.output if last else w.scratch(f"{layer.output}_wide")
        ops.expand(w, name, target, axis)


def _read(layer: Layer, shape: tuple[int, ...]) -> _Cut:
    begins, ends, strides = (layer.ints(index) for index in (1, 2, 3))
    begin_mask, end_mask, ellipsis, new_axis, shrink = (layer.option(slot) for slot in range(5))
    count = len(begins)
    if not count == len(ends) == len(strides) or layer.option(5, layout="B"):
        raise layer.wrong(f"begins at {begins}, ends at {ends} by {strides}, which is not supported")
    if (ellipsis & ((1 << count) - 1)).bit_count() > 1:
        raise layer.wrong("has more than one ellipsis")
    found, axis, result = _Cut(), 0, 0
    new = sum(bool(new_axis >> i & 1 and not ellipsis >> i & 1) for i in range(count))
    hidden = len(shape) - (count - new - sum(ellipsis >> i & 1 for i in range(count)))
    for i in range(count):
        bit = 1 << i
        if ellipsis & bit:
            for _ in range(max(hidden, 0)):
                _whole(found, shape[axis])
                axis, result = axis + 1, result + 1
        elif new_axis & bit:
            found.added.append(result)
            result += 1
        elif axis >= len(shape):
            raise layer.wrong(f"has more entries than {list(shape)} has axes")
        elif shrink & bit:
            if strides[i] < 1:
                raise layer.wrong(f"takes one cell by a stride of {strides[i]}")
            at = 0 if begin_mask & bit else layer.axis(begins[i], shape[axis])
            found.starts.append(at)
            found.ends.append(at + 1)
            found.steps.append(1)
            found.dropped.append(axis)
            axis += 1
        else:
            start = None if begin_mask & bit else begins[i]
            end = None if end_mask & bit else ends[i]
            _part(layer, found, shape[axis], start, end, strides[i])
            axis, result = axis + 1, result + 1
    for size in shape[axis:]:
        _whole(found, size)
    return found


def _whole(found: _Cut, size: int) -> None:
    found.starts.append(0)
    found.ends.append(size)
    found.steps.append(1)


def _part(layer: Layer, found: _Cut, size: int, start: int | None, end: int | None, step: int) -> None:
    """Python's own rules for negative and exceeding numbers; an end before the first is ONNX's -size - 1."""
    if step == 0:
        raise layer.wrong("has a stride of 0")
    first, last, step = slice(start, end, step).indices(size)
    if not len(range(first, last, step)):
        raise layer.wrong(f"takes nothing of {size}: from {start} to {end} by {step}")
    found.starts.append(first)
    found.ends.append(last if last >= 0 else -size - 1)
    found.steps.append(step)
