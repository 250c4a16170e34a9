"""The maps of the KPU layer that a convolution or a product of matrices becomes, with what is laid around and
beside its input: what the chip's limits are about."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import NamedTuple

from modelbuild.graph.model import Shape
from modelbuild.graph.row_memory import row_bytes
from modelbuild.graph.statistics import node_macs
from modelbuild.graph.subject import Subject, Undetermined, kernel, pads, spatial, strides
from modelbuild.graph.taps import Window, layer_axes, rows_as_map, span

_MOST_TAPS = 9  # of a window along an axis: what is wider is never a layer
_POOLS = ("AveragePool", "MaxPool")
_POOL_STRIDES = (2, 4)  # of a pool that a layer has


class LayerMaps(NamedTuple):
    """Both [N, C, H, W], the output of the fewest channels that one layer can have."""

    source: tuple[int, int, int, int]
    made: tuple[int, int, int, int]

    @property
    def bytes(self) -> int:
        """Of both in rows of 64."""
        return sum(each[0] * row_bytes(each) for each in self)


def layer_maps(subject: Subject) -> LayerMaps:
    """The largest that they get, whether the layer has the pool behind it or not."""
    if subject.node.op != "Conv":
        depth = subject.shape()[-1]
        height, width = rows_as_map(prod(subject.shape()[:-1]))
        return LayerMaps((1, depth, height, width), (1, 1, height, width))
    if len(subject.shape()) != 4:
        raise Undetermined("its input is no map of rows and columns")
    if max(kernel(subject)) > _MOST_TAPS:
        return LayerMaps(
            _four(subject.shape()), _four((*subject.shape()[:1], 1, *subject.output_shape()[2:]))
        )
    return max((_of_conv(subject, pooled) for pooled in _pooled(subject)), key=lambda maps: maps.bytes)


def moved_products(subject: Subject) -> float:
    """Multiply-accumulates for each cell that the CPU lays and brings to the KPU for a layer: of a window
    that needs copies, theirs; of a product of matrices those of the result too, which come back."""
    (batches, channels, height, width), _ = layer_maps(subject)
    if subject.node.op != "Conv":
        channels += subject.output_shape()[-1]
    return node_macs(subject.graph, subject.node) / (batches * channels * height * width)


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
    batches, channels, *lines = subject.shape()
    size = tuple(lines)
    given = [int(pad) for pad in pads(subject)]
    window = Window(
        tuple(kernel(subject)),
        tuple(strides(subject)),
        tuple(spatial(subject, "dilations")),
        tuple(given if len(given) == 4 else [0] * 4),
    )
    depthwise = channels == int(subject.attribute("group", 1)) == subject.output_shape()[1] and channels > 1
    rows, columns = layer_axes(size, subject.output_shape()[2:], window, depthwise, pooled)
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
    if depthwise and copies <= 1:
        wide = 1  # those that share a row take no more
    return LayerMaps((batches, wide, rows.size, columns.size), (batches, 1, rows.made, columns.made))
