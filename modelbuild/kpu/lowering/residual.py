"""Sums of maps as KPU layers: maps beside each other are one of all their channels, and a 1x1 convolution
adds them up with one weight for each map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.formats.kmodel.kpu_registers import shape_bytes
from modelbuild.graph.model import Node
from modelbuild.kpu.lowering.dividing import emit_layer
from modelbuild.kpu.lowering.functions import of_chain
from modelbuild.kpu.lowering.layer import Codes, Layer, Trim
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.pools import begin, bounded_bytes, pool_behind, within_bounds
from modelbuild.kpu.lowering.start import left_by

MOST = 255  # of a weight where none is below zero; of others 127


def holds(lowering: Lowering, node: Node) -> bool:
    """Whether the KPU's RAM holds the maps beside each other, and a channel of the sum."""
    shapes = [lowering.graph.shapes[name] for name in node.inputs]
    return sum(map(shape_bytes, shapes)) + shape_bytes((1, 1, *shapes[0][2:])) <= lowering.ram_bytes


def total(lowering: Lowering) -> tuple[Node, ...]:
    """Add, Sub or Sum of maps of one shape, with the functions and the pool behind it."""
    node = lowering.node
    chain = lowering.chains.behind(node.outputs[0])
    pool = pool_behind(lowering, chain.end)
    begin(lowering, node, chain, pool)
    maps = [lowering.bytes(name) for name in node.inputs]
    signs = [-1 if place and node.op == "Sub" else 1 for place in range(len(maps))]
    x, codes = _beside(lowering, maps, signs)
    name = chain.end if pool is None else pool.node.outputs[0]
    y = bounded_bytes(lowering, left_by(lowering, chain), lowering.graph.shapes[name])
    made = (*y.shape[:2], *(size // (1 if pool is None else pool.stride) for size in x.shape[2:]))
    trim = None if made == y.shape else Trim(made, (0, 0, 0, 0), (1, 1, 1, 1))
    text = "bypass" if pool is None else pool.name
    emit_layer(lowering, Layer(x, codes, of_chain(chain), text, False, lowering.step), y, trim)
    within_bounds(lowering, y)
    return lowering.step.nodes


def _beside(
    lowering: Lowering, maps: Sequence[QuantizedTensor], signs: Sequence[int]
) -> tuple[QuantizedTensor, Codes]:
    """The maps as one, in the format of the first, and the weights that add them: what the zero points of the
    others differ by is a part of the bias."""
    first = maps[0]
    _, channels, height, width = first.shape
    x = lowering.between(first, (first.shape[0], channels * len(maps), height, width), "beside")
    lowering.emit("join", maps, x, {"axis": 1})
    factors, scale = shares([each.scale for each in maps], 127 if min(signs) < 0 else MOST)
    factors = factors * np.array(signs)
    unit = np.eye(channels, dtype=np.int64)
    weight = np.concatenate([factor * unit for factor in factors], axis=1)[:, :, None, None]
    bias = sum(int(f) * (first.zero_point - each.zero_point) for f, each in zip(factors, maps, strict=True))
    codes = Codes(weight, np.full(channels, scale / first.scale), np.full(channels, bias, np.int64))
    return x, codes


def shares(scales: Sequence[float], most: int) -> tuple[NDArray[np.int64], float]:
    """Whole numbers up to `most` that are to each other as the scales are, and what one of them stands for:
    of all that the largest may have, the one with the least error; of equal errors, the least."""
    real = np.array(scales, np.float64) / max(scales)
    tops = np.arange(1, most + 1)[:, None]
    found = np.rint(tops * real)
    errors = np.abs(found / tops - real).max(axis=1)
    best = int(np.argmin(errors))
    return found[best].astype(np.int64), max(scales) / float(tops[best, 0])
