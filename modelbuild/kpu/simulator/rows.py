"""How feature maps lie in the KPU's RAM: rows of 64 bytes, which narrow channels share."""

from __future__ import annotations

import numpy as np

from modelbuild.formats.kmodel.kpu_registers import RAM_BYTES, RAM_UNIT, map_bytes
from modelbuild.kpu.simulator.limits import refused
from modelbuild.kpu.simulator.memory import Array, Region

Shape = tuple[int, int, int, int]


def channels_a_row(width: int) -> int:
    """How many channels share a row."""
    return 4 if width <= 16 else 2 if width <= 32 else 1


def ram_bytes(shape: Shape) -> int:
    """Bytes of a map: batches, channels, height, width."""
    batches, channels, height, width = shape
    return batches * map_bytes(width, height, channels)


def unpacked(flat: Array, shape: Shape) -> Array:
    """A view of the map in these bytes of the RAM as batches, channels, height, width; where channels share
    rows and do not fill the last ones, the view has those too: cut it to the channels."""
    batches, channels, height, width = shape
    if width % RAM_UNIT == 0:
        return flat.reshape(shape)
    group = channels_a_row(width)
    blocks, pitch = -(-channels // group), RAM_UNIT // group
    row = RAM_UNIT * -(-width // RAM_UNIT)
    if group == 1:
        return flat.reshape(batches, blocks, height, row)[..., :width]
    shared = flat.reshape(batches, blocks, height, group, pitch).swapaxes(2, 3)
    return shared[..., :width]


def load(ram: Region, place: int, shape: Shape) -> Array:
    """The map at byte `place`, dense. Errors: ModelbuildError, also for bytes that nothing wrote."""
    place, size = _inside(place, shape), ram_bytes(shape)
    if ram.written is not None and not _cut(unpacked(ram.written[place : place + size], shape), shape).all():
        raise refused(
            f"it reads a map of shape {list(shape)} at byte {place} of the KPU's RAM",
            why="nothing wrote all of it",
        )
    return np.ascontiguousarray(_cut(unpacked(ram.data[place : place + size], shape), shape))


def store(ram: Region, place: int, values: Array) -> None:
    """Writes a dense map; the rest of shared rows keeps what it has."""
    shape = _shape(values)
    place, size = _inside(place, shape), ram_bytes(shape)
    _put(unpacked(ram.data[place : place + size], shape), values, shape)
    if ram.written is not None:
        known = np.broadcast_to(np.True_, shape)
        _put(unpacked(ram.written[place : place + size], shape), known, shape)


def _cut(view: Array, shape: Shape) -> Array:
    """Channels that share rows, one after the other, without those that are none."""
    if view.ndim == 4:
        return view
    batches, blocks, group = view.shape[:3]
    return view.reshape(batches, blocks * group, *shape[2:])[:, : shape[1]]


def _put(view: Array, values: Array, shape: Shape) -> None:
    if view.ndim == 4:
        view[...] = values
        return
    group = view.shape[2]
    for index in range(group):
        own = values[:, index::group]
        view[:, : own.shape[1], index] = own


def _shape(values: Array) -> Shape:
    batches, channels, height, width = values.shape
    return batches, channels, height, width


def _inside(place: int, shape: Shape) -> int:
    if min(shape) < 1:
        raise refused(f"a map of shape {list(shape)} is empty")
    end = place + ram_bytes(shape)
    if place < 0 or end > RAM_BYTES:
        raise refused(
            f"a map of shape {list(shape)} at byte {place} of the KPU's RAM ends at {end}",
            why=f"it has {RAM_BYTES} bytes",
        )
    return place
