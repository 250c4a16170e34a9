"""Operators that move cells to other places: what becomes of an id for each channel, or for each cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Graph, Node, Shape

Ids = NDArray[Any]  # whole numbers


def spread(ids: Ids, shape: Shape) -> Ids:
    """[*shape], from an id for each channel (axis 1), or from what broadcasts to `shape`."""
    if ids.ndim == 1:
        ids = ids.reshape(1, -1, *([1] * (len(shape) - 2)))
    return np.broadcast_to(ids.astype(np.int32), shape)  # as large as the tensor where it has to be copied


def packed(cells: Ids) -> Ids:
    """The inverse of `spread`: an id for each channel where all cells of a channel have one; else an array of
    as many axes, of size 1 along those on which nothing depends."""
    channels = cells.shape[1]
    cells = cells[tuple(slice(1) if step == 0 else slice(None) for step in cells.strides)]  # never copied
    for axis in range(cells.ndim):
        first = cells.take([0], axis)
        if (cells == first).all():
            cells = first
    if cells.size == cells.shape[1]:
        cells = np.broadcast_to(cells.reshape(-1), (channels,))
    return cells.astype(np.int64)


def moved(graph: Graph, node: Node, cells: Ids) -> list[Ids]:
    """The cells of each output; none where their places are not known."""
    return MOVES[node.op](graph, node, cells)


def _reshape(graph: Graph, node: Node, cells: Ids) -> list[Ids]:
    return [cells.reshape(graph.shapes[node.outputs[0]])]


def _transpose(graph: Graph, node: Node, cells: Ids) -> list[Ids]:
    return [cells.transpose(node.ints("perm", list(reversed(range(cells.ndim)))))]


def _split(graph: Graph, node: Node, cells: Ids) -> list[Ids]:
    axis = node.int("axis", 0) % cells.ndim
    sizes = [graph.shapes[name][axis] for name in node.outputs if name]
    return np.split(cells, np.cumsum(sizes)[:-1].tolist(), axis)


def _slice(graph: Graph, node: Node, cells: Ids) -> list[Ids]:
    if any(name and name not in graph.constants for name in node.inputs[1:]):
        return []
    lists = [graph.constants[name].reshape(-1).tolist() if name else [] for name in node.inputs[1:]]
    starts, ends, axes, steps = (*lists, [], [])[:4]
    axes, steps = axes or list(range(len(starts))), steps or [1] * len(starts)
    spans = [slice(None)] * cells.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 0:
            return []
        spans[axis] = slice(start, end, step)
    return [cells[tuple(spans)]]


def _gather(graph: Graph, node: Node, cells: Ids) -> list[Ids]:
    indices = graph.constants.get(node.inputs[1])
    return [] if indices is None else [np.take(cells, indices.astype(np.int64), node.int("axis", 0))]


WHOLE = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"})  # that leave every cell, once
MOVES: dict[str, Callable[[Graph, Node, Ids], list[Ids]]] = {
    **dict.fromkeys(WHOLE - {"Transpose"}, _reshape),
    "Transpose": _transpose,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
}
