"""The maps of the KPU layer that a convolution or a product of matrices becomes, with what is laid around and
beside its input: what the chip's limits are about."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import inf, prod
from typing import NamedTuple

from modelbuild.formats.kmodel.kpu_geometry import MOST_CHANNELS, TALLEST, WIDEST
from modelbuild.formats.kmodel.kpu_registers import RAM_BYTES, shape_bytes
from modelbuild.graph.model import Shape
from modelbuild.graph.phases import phased
from modelbuild.graph.statistics import node_macs
from modelbuild.graph.subject import Subject, Undetermined, kernel, pads, spatial, strides
from modelbuild.graph.taps import Window, layer_axes, rows_as_map, span

_MOST_TAPS = 9  # of a window along an axis: what is wider is never a layer
_POOLS = ("AveragePool", "MaxPool")
_POOL_STRIDES = (2, 4)  # of a pool that a layer has

_NO_MAP = "its input is no map of rows and columns"
_SUMS = ("Add", "Sub", "Sum")  # of maps, which lie beside each other


class LayerMaps(NamedTuple):
    """Both [N, C, H, W], the output of the fewest channels that one layer can have. `moves`: the CPU lays
    copies or phases of the input."""

    source: tuple[int, int, int, int]
    made: tuple[int, int, int, int]
    moves: bool = False

    @property
    def bytes(self) -> int:
        """Of both in rows of 64."""
        return shape_bytes(self.source) + shape_bytes(self.made)

    @property
    def is_whole(self) -> bool:
        """Whether one layer can be so large; else it is done part by part."""
        return self.source[2] <= TALLEST and self.source[3] <= WIDEST and self.bytes <= RAM_BYTES


def layer_maps(subject: Subject) -> LayerMaps:
    """The largest that they get, whether the layer has the pool behind it or not."""
    if subject.node.op in _SUMS:
        if len(subject.shape()) != 4:
            raise Undetermined(_NO_MAP)
        batches, channels, *size = _four(subject.shape())
        wide = channels * len(subject.node.inputs)
        return LayerMaps(_four((batches, wide, *size)), _four((batches, 1, *size)))
    if subject.node.op != "Conv":
        depth = subject.shape()[-1]
        height, width = rows_as_map(prod(subject.shape()[:-1]))
        return LayerMaps((1, depth, height, width), (1, 1, height, width))
    if len(subject.shape()) != 4:
        raise Undetermined(_NO_MAP)
    if max(kernel(subject)) > _MOST_TAPS:
        made = _four((*subject.shape()[:1], 1, *subject.output_shape()[2:]))
        return LayerMaps(_four(subject.shape()), made, True)
    return max((_of_conv(subject, pooled) for pooled in _pooled(subject)), key=lambda maps: maps.bytes)


def moved_products(subject: Subject) -> float:
    """Multiply-accumulates for each cell that the CPU lays and brings to the KPU for a layer: of a window
    that needs copies or phases, theirs; of what is done part by part, and of a product of matrices, those of
    the result too, which come back. Infinite where nothing is moved."""
    maps = layer_maps(subject)
    batches, channels, height, width = maps.source
    cells = channels * height * width
    if subject.node.op != "Conv":
        cells += subject.output_shape()[-1] * height * width
    elif not maps.is_whole:
        cells += subject.output_shape()[1] * prod(maps.made[2:])
    elif not maps.moves:
        return inf
    return node_macs(subject.graph, subject.node) / (batches * cells)


def leaves_whole(subject: Subject) -> bool:
    """Whether one layer leaves all of a convolution's output, and nothing around it that the CPU cuts off."""
    maps, made = layer_maps(subject), subject.output_shape()
    if subject.node.op != "Conv" or not maps.is_whole or maps.made[2:] != made[2:]:
        return False
    return shape_bytes(maps.source) + shape_bytes(made) <= RAM_BYTES


def takes_phases(shape: Shape, out: Sequence[int], window: Window) -> bool:
    """Whether a convolution of one group and stride 2, from [N, C, H, W] to `out` rows and columns, is one of
    stride 1 on the four phases of its map: where its window needs copies, or a layer takes no such map."""
    if tuple(window.strides) != (2, 2) or tuple(window.dilations) != (1, 1):
        return False
    plain = _dense(shape, out, window, 1)
    if not plain.moves and plain.is_whole:
        return False
    deep, narrow = phased(shape, window)
    return _dense(deep, out, narrow, 1).source[1] <= MOST_CHANNELS


def _pooled(subject: Subject) -> tuple[int, ...]:
    """Strides of a pool of the layer: none, and that of the pool which alone reads what it makes."""
    chains = subject.chains
    reader = chains.sole_reader(chains.behind(subject.node.outputs[0]).end)
    if reader is None or reader.op not in _POOLS:
        return (1,)
    return (1, *(stride for stride in _POOL_STRIDES if stride in reader.ints("strides", [])))


def _four(shape: Shape) -> tuple[int, int, int, int]:
    batches, channels, height, width = shape
    return batches, channels, height, width


def _of_conv(subject: Subject, pooled: int) -> LayerMaps:
    shape, out = subject.shape(), subject.output_shape()[2:]
    given = [int(pad) for pad in pads(subject)]
    window = Window(
        tuple(kernel(subject)),
        tuple(strides(subject)),
        tuple(spatial(subject, "dilations")),
        tuple(given if len(given) == 4 else [0] * 4),
    )
    group = int(subject.attribute("group", 1))
    if shape[1] == group == subject.output_shape()[1] and group > 1:
        return _depthwise(shape, out, window, pooled)
    if group == 1 and takes_phases(shape, out, window):
        return _dense(*_swapped(shape, out, window), pooled)._replace(moves=True)
    return _dense(shape, out, window, pooled)


def _swapped(shape: Shape, out: Sequence[int], window: Window) -> tuple[Shape, Sequence[int], Window]:
    deep, narrow = phased(shape, window)
    return deep, out, narrow


def _dense(shape: Shape, out: Sequence[int], window: Window, pooled: int) -> LayerMaps:
    """Of a convolution of all channels."""
    return _laid(shape, out, window, False, pooled)


def _depthwise(shape: Shape, out: Sequence[int], window: Window, pooled: int) -> LayerMaps:
    """Of one channel by channel: those that share a row take no more than one."""
    maps = _laid(shape, out, window, True, pooled)
    if maps.moves:
        return maps
    return maps._replace(source=_four((shape[0], 1, *maps.source[2:])))


def _laid(shape: Shape, out: Sequence[int], window: Window, depthwise: bool, pooled: int) -> LayerMaps:
    batches, channels, *lines = shape
    size = tuple(lines)
    rows, columns = layer_axes(size, tuple(out), window, depthwise, pooled)
    copies = sum(
        all(
            start < end
            for start, end in (
                span(run.start, axis.size, held)
                for run, axis, held in zip(pair, (rows, columns), size, strict=True)
            )
        )
        for pair in product(rows.runs, columns.runs)
    )
    wide = channels * max(copies, 1)
    source = (batches, wide, rows.size, columns.size)
    return LayerMaps(source, (batches, 1, rows.made, columns.made), copies > 1)
