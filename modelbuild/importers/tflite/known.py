"""Operators whose result does not depend on the data: shapes, ranges, and constants of one value."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from modelbuild.formats import tflite_schema as schema
from modelbuild.graph.model import Array
from modelbuild.importers.tflite.layer import Layer, Rule

_MOST_NUMBERS = 65_536  # of a constant that FILL or RANGE makes


def _known(layer: Layer, value: Array) -> None:
    """A constant that the operator makes, with the element type of its output."""
    tensor = layer.state.model.tensors[layer.operator.outputs[0]]
    kind = "float32" if tensor.type in schema.OTHER_FLOATS else tensor.type
    if kind not in schema.NUMBERS:
        raise layer.wrong(f"makes {kind}, which is not supported")
    layer.writer.constant(layer.output, value.astype(np.dtype(kind)))


def _shape(layer: Layer) -> None:
    _known(layer, np.array(layer.shape(0), np.int64))


def _rank(layer: Layer) -> None:
    _known(layer, np.array(layer.rank(0), np.int64))


def _fill(layer: Layer) -> None:
    """A constant of one value."""
    shape, value = layer.ints(0), layer.writer.value(layer.input(1))
    if value is None or value.size != 1 or min(shape, default=0) < 0 or math.prod(shape) > _MOST_NUMBERS:
        raise layer.wrong(f"makes {shape} of a value that is no constant, or too many")
    layer.writer.constant(layer.output, np.full(shape, value.reshape(-1)[0], value.dtype))


def _zeros(layer: Layer) -> None:
    shape = layer.shape(0)
    if math.prod(shape) > _MOST_NUMBERS:
        raise layer.wrong(f"makes {list(shape)}, more than {_MOST_NUMBERS} numbers")
    layer.writer.constant(layer.output, np.zeros(shape, layer.writer.dtype(layer.input(0))))


def _range(layer: Layer) -> None:
    """Of floats each number is the one before plus the step, rounded, as TFLite counts (range.cc)."""
    if layer.writer.dtype(layer.input(0)).kind == "f":
        layer.writer.constant(layer.output, _counted(layer))
        return
    (start, limit, step) = (layer.one(index) for index in range(3))
    if not step or (limit - start) // step > _MOST_NUMBERS:
        raise layer.wrong(f"counts from {start} to {limit} by {step}")
    _known(layer, np.arange(start, limit, step, dtype=np.int64))


def _counted(layer: Layer) -> Array:
    values = [layer.writer.value(layer.input(index)) for index in range(3)]
    numbers = [value.reshape(-1)[0] for value in values if value is not None and value.size == 1]
    if len(numbers) < 3 or not np.all(np.isfinite(numbers)) or not numbers[2]:
        raise layer.wrong("counts by numbers that are no constants")
    start, limit, step = numbers
    count = math.ceil((float(limit) - float(start)) / float(step))
    if not 0 < count <= _MOST_NUMBERS:
        raise layer.wrong(f"counts from {start} to {limit} by {step}")
    return np.add.accumulate(np.array([start, *[step] * (count - 1)], np.float32))


def _broadcast_shapes(layer: Layer) -> None:
    """BROADCAST_ARGS: the shape to which two shapes broadcast."""
    first, second = layer.ints(0), layer.ints(1)
    try:
        _known(layer, np.array(np.broadcast_shapes(tuple(first), tuple(second)), np.int64))
    except ValueError as error:
        raise layer.wrong(f"broadcasts {first} and {second}") from error


RULES: Mapping[str, Rule] = {
    "BROADCAST_ARGS": _broadcast_shapes,
    "FILL": _fill,
    "RANGE": _range,
    "RANK": _rank,
    "SHAPE": _shape,
    "ZEROS_LIKE": _zeros,
}
