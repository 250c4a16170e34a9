"""Puts together the maps that never reach DRAM, from what tiles write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.program import LayerPlace, TensorPlace
from modelbuild.npu.program.descriptor import CHIP
from modelbuild.npu.program.transfers import Output
from modelbuild.npu.simulator.maps import RowMap
from modelbuild.npu.simulator.memory import DTYPES, Memory, failure

Integers = NDArray[np.integer]


def form(shape: Sequence[int]) -> tuple[int, int, int]:
    """A tensor as planes, rows, columns."""
    if len(shape) < 3:
        return math.prod(shape), 1, 1
    return math.prod(shape[:-2]), shape[-2], shape[-1]


@dataclass
class _Map:
    """A map so far, [planes, rows, columns] (None if it is not kept), and which of its rows are there."""

    tensor: TensorPlace
    values: Integers | None
    rows: NDArray[np.bool_]


class ChipLayers:
    """Checks each `output`; keeps the maps if asked to."""

    def __init__(self, layers: Sequence[LayerPlace], keep: bool) -> None:
        self._layers = layers
        self._keep = keep
        self._first = 0
        self._maps: dict[int, _Map] = {}

    def begin(self, layer: int) -> None:
        """A group that starts with `layer`."""
        self._first = layer

    def show(self, output: Output, place: RowMap, memory: Memory) -> None:
        """What a tile has just written is a part of a layer's first output."""
        tensor = self._tensor(output.layer)
        planes, rows, columns = form(tensor.shape)
        inside = output.plane + place.planes <= planes and output.row + place.rows <= rows
        if not inside or place.columns != columns or place.kind != tensor.type:
            raise failure(f"a tile is no part of {tensor.name}")
        if output.layer not in self._maps:
            values = np.zeros((planes, rows, columns), DTYPES[tensor.type]) if self._keep else None
            self._maps[output.layer] = _Map(tensor, values, np.zeros((planes, rows), np.bool_))
        found = self._maps[output.layer]
        part = np.s_[output.plane : output.plane + place.planes, output.row : output.row + place.rows]
        if found.rows[part].any():
            raise failure(f"two tiles are the same part of {tensor.name}")
        found.rows[part] = True
        if found.values is not None:
            found.values[part] = memory.peek_map(place)

    def _tensor(self, layer: int) -> TensorPlace:
        if not self._first <= layer < len(self._layers) or not self._layers[layer].outputs:
            raise failure(f"layer {layer} is not of this group")
        tensor = self._layers[layer].outputs[0]
        if tensor.where != CHIP:
            raise failure(f"{tensor.name} lies in DRAM")
        return tensor

    def finish(self, end: int) -> dict[str, Integers]:
        """The maps, if they are kept, of a group that ends before layer `end`."""
        found = {}
        for layer, one in self._maps.items():
            if layer >= end:
                raise failure(f"layer {layer} is not of this group")
            if not one.rows.all():
                raise failure(f"tiles make only a part of {one.tensor.name}")
            if one.values is not None:
                found[one.tensor.name] = one.values.reshape(one.tensor.shape)
        self._maps.clear()
        return found
