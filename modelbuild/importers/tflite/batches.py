"""SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND that surround no dilated convolution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.tflite.layer import Layer, Rule

_MOST_AXES = 3  # that are dealt out, so that the widest tensor has 8


def _settings(layer: Layer) -> tuple[list[int], list[tuple[int, int]]]:
    """The block's sizes, of the axes behind the batch, and (before, after) of the cells that come or go."""
    block, flat = layer.ints(1), layer.ints(2)
    count = len(block)
    if not 0 < count < min(layer.rank(0), _MOST_AXES + 1) or len(flat) != 2 * count or min(*block, 1) < 1:
        raise layer.wrong(f"has blocks of {block} and the pads {flat} for {list(layer.shape(0))}")
    if min(flat) < 0:
        raise layer.wrong(f"has the pads {flat}")
    return block, list(zip(flat[::2], flat[1::2], strict=True))


def _space_to_batch(layer: Layer) -> None:
    """Every `block`-th cell is a picture of its own; these stand in front of the batch."""
    block, pads = _settings(layer)
    count, shape, padded = len(block), layer.shape(0), _scratch(layer, "padded")
    frame = [(0, 0), *pads, *[(0, 0)] * (len(shape) - count - 1)]
    ops.pad(layer.writer, layer.input(0), padded, frame)
    batch, *sizes = layer.writer.shape(padded)
    if any(size % step for size, step in zip(sizes, block, strict=False)):
        raise layer.wrong(f"deals {sizes} out in blocks of {block}")
    split = [part for size, step in zip(sizes, block, strict=False) for part in (size // step, step)]
    inner, rest = list(range(2, 2 * count + 1, 2)), range(2 * count + 1, len(shape) + count)
    perm = [*inner, 0, *(axis - 1 for axis in inner), *rest]
    merged = [batch * math.prod(block), *(n // b for n, b in zip(sizes, block, strict=False)), *sizes[count:]]
    _dealt(layer, padded, [batch, *split, *sizes[count:]], perm, merged, layer.output)


def _batch_to_space(layer: Layer) -> None:
    """The way back; what was padded is cut off."""
    block, crops = _settings(layer)
    count, (batch, *sizes) = len(block), layer.shape(0)
    if batch % math.prod(block):
        raise layer.wrong(f"makes blocks of {block} of {batch} pictures")
    split = [*block, batch // math.prod(block), *sizes]
    pairs = [axis for i in range(count) for axis in (count + 1 + i, i)]
    perm = [count, *pairs, *range(2 * count + 1, len(split))]
    wide = [size * step for size, step in zip(sizes, block, strict=False)]
    merged, target = [split[count], *wide, *sizes[count:]], _scratch(layer, "whole")
    _dealt(layer, layer.input(0), split, perm, merged, target)
    starts = [0, *(before for before, _ in crops), *[0] * len(sizes[count:])]
    ends = [split[count], *(n - after for n, (_, after) in zip(wide, crops, strict=True)), *sizes[count:]]
    if any(start >= end for start, end in zip(starts, ends, strict=True)):
        raise layer.wrong(f"cuts {crops} off {wide}")
    ops.cut(layer.writer, target, layer.output, starts, ends, [1] * len(starts))


def _dealt(
    layer: Layer, data: str, split: Sequence[int], perm: Sequence[int], merged: Sequence[int], output: str
) -> None:
    apart, moved = _scratch(layer, "apart"), _scratch(layer, "moved")
    ops.reshape(layer.writer, data, apart, tuple(split))
    ops.transpose(layer.writer, apart, moved, perm)
    ops.reshape(layer.writer, moved, output, tuple(merged))


def _scratch(layer: Layer, word: str) -> str:
    return layer.alias(layer.writer.scratch(f"{layer.output}_{word}"), layer.input(0))


RULES: Mapping[str, Rule] = {"BATCH_TO_SPACE_ND": _batch_to_space, "SPACE_TO_BATCH_ND": _space_to_batch}
