"""Windows that are wider than 3x3, or lie otherwise, as windows on shifted copies of the map side by side."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.graph.taps import Axis, span
from modelbuild.kpu.lowering.cells import cut, padded
from modelbuild.kpu.lowering.lowering import Lowering


def gathered(
    lowering: Lowering, x: QuantizedTensor, weight: NDArray[np.integer], axes: tuple[Axis, Axis]
) -> tuple[NDArray[np.integer], QuantizedTensor]:
    """The weights [O, copies * C, k, k] and the copies of x side by side."""
    rows, columns = axes
    single = all(place == 0 for axis in axes for run in axis.runs for _, place in run.taps)
    kernel = 1 if single else 3
    maps, parts = [], []
    for down, right in product(rows.runs, columns.runs):
        part = np.zeros((*weight.shape[:2], kernel, kernel), weight.dtype)
        for (row, at_row), (column, at_column) in product(down.taps, right.taps):
            part[:, :, at_row + kernel // 2, at_column + kernel // 2] = weight[:, :, row, column]
        copy = _copy(lowering, x, (down.start, right.start), (rows.size, columns.size))
        if copy is not None:
            maps.append(copy)
            parts.append(part)
    if len(maps) == 1:
        return parts[0], maps[0]
    shape = (x.shape[0], x.shape[1] * len(maps), rows.size, columns.size)
    key = ("copies", *(one.name for one in maps))
    if key not in lowering.made:
        lowering.made[key] = lowering.between(x, shape, "copies")
        lowering.emit("concat", maps, lowering.made[key], {"axis": 1})
    return np.concatenate(parts, axis=1), lowering.made[key]


def dense_weight(weight: NDArray[np.integer], group: int) -> NDArray[np.integer]:
    """Weights of groups as weights of all channels, with zeros between them."""
    if group == 1:
        return weight
    outputs, inner = len(weight) // group, weight.shape[1]
    dense = np.zeros((len(weight), group * inner, *weight.shape[2:]), weight.dtype)
    for number in range(group):
        own = slice(number * outputs, (number + 1) * outputs)
        dense[own, number * inner : (number + 1) * inner] = weight[own]
    return dense


def _copy(
    lowering: Lowering, x: QuantizedTensor, starts: tuple[int, int], sizes: tuple[int, int]
) -> QuantizedTensor | None:
    """Cells of x from `starts` on, its zero point beyond its borders; None where it is that alone."""
    key = ("copy", x.name, str(starts), str(sizes))
    if key in lowering.made:
        return lowering.made[key]
    spans = [span(start, size, held) for start, size, held in zip(starts, sizes, x.shape[2:], strict=True)]
    if any(start >= end for start, end in spans):
        return None
    before = (max(-starts[0], 0), max(-starts[1], 0))
    held = x
    if any((start, end) != (0, size) for (start, end), size in zip(spans, x.shape[2:], strict=True)):
        shape = (*x.shape[:2], *(end - start for start, end in spans))
        held = lowering.between(x, shape, "cells")
        cut(lowering, x, held, (0, 0, *(start for start, _ in spans)))
    after = (sizes[0] - before[0] - held.shape[2], sizes[1] - before[1] - held.shape[3])
    lowering.made[key] = padded(lowering, held, before, after)
    return lowering.made[key]
