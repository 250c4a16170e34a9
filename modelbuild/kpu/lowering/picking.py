"""Moves by constant indices: every cell of the output is one of the inputs, and which is known beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.kpu.lowering.lowering import FLOATS, Lowering
from modelbuild.kpu.lowering.moving import Moves, Wanted, form_of

Places = NDArray[np.int64]


def _constant(lowering: Lowering, index: int) -> Places:
    node = lowering.node
    name = node.inputs[index] if len(node.inputs) > index else ""
    value = lowering.graph.constants.get(name)
    if value is None:
        lowering.fail("its indices must be constants")
    return value.astype(np.int64)


def _picked(lowering: Lowering, wanted: Wanted, places: Places) -> None:
    """The output's cells by their places in the first input, row by row."""
    moves = Moves(lowering, form_of(lowering, wanted))
    x, y = moves.tensor(lowering.node.inputs[0]), moves.output()
    flat = moves.between(x, (math.prod(x.shape),), "flat")
    moves.emit("reshape", (x,), flat, {})
    _gathered(moves, flat, places, y)


def _gathered(moves: Moves, flat: QuantizedTensor, places: Places, y: QuantizedTensor) -> None:
    cells = moves.between(flat, (places.size,), "cells")
    moves.emit("gather", (flat,), cells, {"axis": 0}, {"indices": places.reshape(-1).astype(np.int32)})
    moves.emit("reshape", (cells,), y, {})


def _numbers(lowering: Lowering) -> Places:
    """The place of each cell of the first input."""
    shape = lowering.graph.shapes[lowering.node.inputs[0]]
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)


def _positive(indices: Places, size: int) -> Places:
    return np.where(indices < 0, indices + size, indices)


def gather_elements(lowering: Lowering, wanted: Wanted) -> None:
    """A cell for each index along an axis."""
    numbers = _numbers(lowering)
    axis = lowering.node.int("axis", 0) % numbers.ndim
    indices = _positive(_constant(lowering, 1), numbers.shape[axis])
    cut = tuple(slice(0, size) for size in indices.shape)
    around = tuple(slice(None) if place == axis else cut[place] for place in range(numbers.ndim))
    _picked(lowering, wanted, np.take_along_axis(numbers[around], indices, axis))


def gather_nd(lowering: Lowering, wanted: Wanted) -> None:
    """Slabs by tuples of indices."""
    numbers, indices = _numbers(lowering), _constant(lowering, 1)
    batches = lowering.node.int("batch_dims", 0)
    lead = numbers.shape[:batches]
    found = [numbers[place][_tuples(numbers[place].shape, indices[place])] for place in np.ndindex(*lead)]
    _picked(lowering, wanted, np.stack(found))


def _tuples(shape: tuple[int, ...], indices: Places) -> tuple[Places, ...]:
    columns = np.moveaxis(indices, -1, 0)
    return tuple(_positive(column, size) for column, size in zip(columns, shape, strict=False))


def reverse_sequence(lowering: Lowering, wanted: Wanted) -> None:
    """The first cells of each sequence in the other order."""
    numbers, node = _numbers(lowering), lowering.node
    time, batch = node.int("time_axis", 0), node.int("batch_axis", 1)
    moved = np.moveaxis(numbers, (batch, time), (0, 1)).copy()
    for row, length in enumerate(_constant(lowering, 1)):
        moved[row, :length] = moved[row, :length][::-1].copy()
    _picked(lowering, wanted, np.moveaxis(moved, (0, 1), (batch, time)))


def _scattered(lowering: Lowering, place: Callable[[Places, Places, Places], None]) -> None:
    """The input with some cells of another tensor: one behind the other, gathered."""
    node = lowering.node
    if node.attributes.get("reduction", "none") != "none":
        lowering.fail("it adds or multiplies what it scatters")
    numbers, moves = _numbers(lowering), Moves(lowering, FLOATS)
    x, updates = (moves.tensor(node.inputs[index]) for index in (0, 2))
    y = moves.output()
    others = math.prod(x.shape) + np.arange(math.prod(updates.shape)).reshape(updates.shape)
    place(numbers, _constant(lowering, 1), others)
    flat = [moves.between(each, (math.prod(each.shape),), "flat") for each in (x, updates)]
    for source, target in zip((x, updates), flat, strict=True):
        moves.emit("reshape", (source,), target, {})
    both = moves.between(x, (sum(each.shape[0] for each in flat),), "both")
    moves.emit("concat", flat, both, {"axis": 0})
    _gathered(moves, both, numbers, y)


def scatter_nd(lowering: Lowering, _: Wanted) -> None:
    """Slabs to tuples of indices."""

    def place(numbers: Places, indices: Places, others: Places) -> None:
        numbers[_tuples(numbers.shape, indices)] = others

    _scattered(lowering, place)


def scatter_elements(lowering: Lowering, _: Wanted) -> None:
    """A cell to each index along an axis."""

    def place(numbers: Places, indices: Places, others: Places) -> None:
        axis = lowering.node.int("axis", 0) % numbers.ndim
        at: list[Places] = list(np.indices(indices.shape, np.int64))
        at[axis] = _positive(indices, numbers.shape[axis])
        numbers[tuple(at)] = others

    _scattered(lowering, place)


BUILDERS: dict[str, Callable[[Lowering, Wanted], None]] = {
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ReverseSequence": reverse_sequence,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
}
