"""Gemm and MatMul as KPU layers, with the functions behind them."""

from __future__ import annotations

import math

import numpy as np

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.graph.model import Node
from modelbuild.graph.taps import rows_as_map
from modelbuild.kpu.lowering.cells import cut, reshaped
from modelbuild.kpu.lowering.dividing import emit_layer
from modelbuild.kpu.lowering.functions import of_chain
from modelbuild.kpu.lowering.layer import Codes, Layer
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.pools import begin
from modelbuild.kpu.lowering.start import left_by, start


def gemm(lowering: Lowering) -> tuple[Node, ...]:
    """A constant matrix on rows [.., K] as a 1x1 convolution: rows become cells of a map of K channels."""
    node, chain, _, x, codes = start(lowering)
    begin(lowering, node, chain, None)
    outputs, depth = codes.weight.shape
    rows = math.prod(x.shape) // depth
    height, width = rows_as_map(rows)
    cells = _columns(lowering, x, rows, depth)
    spare = height * width - rows
    if spare:
        wide = lowering.between(x, (depth, height * width), "filled")
        parameters: dict[str, Parameter] = {"before": (0, 0), "after": (0, spare), "mode": "constant"}
        lowering.emit("pad", (cells,), wide, parameters, {"value": np.array(x.zero_point, np.uint8)})
        cells = wide
    maps = reshaped(lowering, cells, (1, depth, height, width), "map")
    y = lowering.new_bytes(chain.end, left_by(lowering, chain))
    out = lowering.between(y, (1, outputs, height, width), "products")
    wide_codes = Codes(codes.weight[:, :, None, None], codes.scales, codes.bias)
    emit_layer(lowering, Layer(maps, wide_codes, of_chain(chain), "bypass", False, lowering.step), out)
    flat = reshaped(lowering, out, (outputs, height * width), "rows")
    if spare:
        kept = lowering.between(y, (outputs, rows), "kept")
        cut(lowering, flat, kept, (0, 0))
        flat = kept
    if rows > 1:
        turned = y if y.shape == (rows, outputs) else lowering.between(y, (rows, outputs), "turned")
        lowering.emit("transpose", (flat,), turned, {"permutation": (1, 0)})
        flat = turned
    if flat is not y:
        lowering.emit("reshape", (flat,), y, {})
    return lowering.step.nodes


def _columns(lowering: Lowering, x: QuantizedTensor, rows: int, depth: int) -> QuantizedTensor:
    """x [.., K] as [K, rows]."""
    if rows == 1:
        return reshaped(lowering, x, (depth, 1), "column")
    flat = reshaped(lowering, x, (rows, depth), "flat")
    turned = lowering.between(x, (depth, rows), "columns")
    lowering.emit("transpose", (flat,), turned, {"permutation": (1, 0)})
    return turned
