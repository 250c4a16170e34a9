"""Conv, Gemm and MatMul as KPU layers, with the functions and the pool behind them."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.graph.chains import Chain
from modelbuild.graph.layer_maps import takes_phases
from modelbuild.graph.model import Node
from modelbuild.graph.taps import Axis, Window, layer_axes, rows_as_map, span
from modelbuild.kpu.lowering.cells import cut, padded, repeated, reshaped
from modelbuild.kpu.lowering.dividing import emit_layer
from modelbuild.kpu.lowering.functions import of_chain
from modelbuild.kpu.lowering.largest import GROW
from modelbuild.kpu.lowering.layer import Codes, Layer, Trim
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.odd import Odd, centres, laid, pays
from modelbuild.kpu.lowering.phases import phases
from modelbuild.kpu.lowering.pools import (
    Pool,
    begin,
    begins,
    bounded_bytes,
    pool_alone,
    pool_behind,
    within_bounds,
)
from modelbuild.kpu.lowering.residual import holds, total
from modelbuild.kpu.lowering.strided import BEHIND, CPU, DENSE, UNIT, Strided, picker
from modelbuild.kpu.lowering.unit import moved, unit
from modelbuild.quantize.row_constants import row_codes
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.windows import explicit_pads


def conv(lowering: Lowering) -> tuple[Node, ...]:
    """Conv on [N, C, H, W]; the nodes that the layer stands for."""
    node, chain, found, x, codes = _start(lowering)
    out = lowering.graph.shapes[node.outputs[0]][2:]
    picks = node.inputs[0] in lowering.unpicked  # for the depthwise window before it
    strides = [2, 2] if picks else node.ints("strides", [1, 1])
    dilations = node.ints("dilations", [1, 1])
    kernel = found.weight.shape[2:]
    pads = (0, 0, 0, 0) if picks else explicit_pads(node, x.shape[2:], kernel, out)
    depthwise = found.group > 1 and found.group == x.shape[1] == len(found.weight)
    pool = pool_behind(lowering, chain.end) if max(strides) == 1 else None
    window = Window(tuple(kernel), tuple(strides), tuple(dilations), pads)
    way = _picker(lowering, x, out, window, chain) if depthwise and tuple(strides) == (2, 2) else CPU
    taps = codes.weight
    if found.group == 1 and not picks and takes_phases(x.shape, out, window):
        x, taps, window = phases(lowering, x, taps, window)
        strides = [1, 1]
    odd = _odd(lowering, x, out, window, chain) if found.group == 1 and not picks else None
    depthwise = depthwise and way != DENSE
    rows, columns = layer_axes(x.shape[2:], out, window, depthwise, 1 if pool is None else pool.stride)
    narrow = depthwise and len(rows.runs) == len(columns.runs) == 1
    if narrow and pool is not None:
        lowering.fail("the chip has no pool behind a depthwise convolution")
    begin(lowering, node, chain, pool)
    if odd is not None:
        _picked(lowering, x, codes, chain, odd)
        return lowering.step.nodes
    weight, maps = _gathered(lowering, x, taps, found.group, narrow, rows, columns)
    wide = Codes(weight, codes.scales, codes.bias)
    if way in (BEHIND, UNIT):
        layer = Layer(maps, wide, of_chain(chain), "bypass", True, lowering.step)
        _unpicked(lowering, layer, chain, way, (rows.first, columns.first))
    else:
        _finish(lowering, maps, wide, chain, pool, narrow, (rows, columns), _steps(strides, rows))
    return lowering.step.nodes


def _odd(
    lowering: Lowering, x: QuantizedTensor, out: tuple[int, ...], window: Window, chain: Chain
) -> Odd | None:
    """A convolution of stride 2 whose cells a layer picks in odd rows or columns, where it pays."""
    if tuple(window.strides) != (2, 2):
        return None
    axes = layer_axes(x.shape[2:], out, window, False, 1)
    found = centres(x.shape[2:], out, window, axes)
    if found is None:
        return None
    reader = lowering.chains.sole_reader(chain.end)
    stays = reader is not None and on_kpu(lowering, reader)
    held = lowering.layers.get(x.name) is not None
    made = (x.shape[0], lowering.graph.shapes[chain.end][1], *out)
    odd = Odd(x.shape, made, axes, *found, held, stays)
    return odd if pays(odd, lowering.hardware) else None


def _picked(lowering: Lowering, x: QuantizedTensor, codes: Codes, chain: Chain, odd: Odd) -> None:
    """The layer of such a convolution."""
    y = lowering.new_bytes(chain.end, lowering.left(chain.end, _last(lowering, chain)))
    maps, weight, pool = laid(lowering, x, codes.weight, odd)
    own = Codes(weight, codes.scales, codes.bias)
    emit_layer(lowering, Layer(maps, own, of_chain(chain), pool, False, lowering.step), y)


def _picker(
    lowering: Lowering, x: QuantizedTensor, out: tuple[int, ...], window: Window, chain: Chain
) -> str:
    """Who picks the cells of a depthwise window of stride 2."""
    reader = lowering.chains.sole_reader(chain.end)
    stays = reader is not None and on_kpu(lowering, reader)
    behind = None
    if reader is not None and stays and _is_pointwise(lowering, reader):
        behind = lowering.graph.shapes[reader.outputs[0]][1]
    axes = layer_axes(x.shape[2:], out, window, True, 1)
    return picker(Strided(x.shape, (*x.shape[:2], *out), axes, stays, behind), lowering.hardware)


def _is_pointwise(lowering: Lowering, node: Node) -> bool:
    """Whether a node is a 1x1 convolution of one group whose pool is free."""
    if node.op != "Conv" or node.int("group", 1) != 1 or any(node.ints("pads", [0])):
        return False
    if max(node.ints("strides", [1])) > 1 or lowering.graph.shapes[node.inputs[1]][2:] != (1, 1):
        return False
    return pool_behind(lowering, lowering.chains.behind(node.outputs[0]).end) is None


def _unpicked(lowering: Lowering, layer: Layer, chain: Chain, way: str, first: tuple[int, int]) -> None:
    """All cells of a depthwise window; a layer behind it picks those of even rows and columns, where a layer
    of one tap a channel puts the cells from `first` on."""
    form = lowering.left(chain.end, _last(lowering, chain))
    made = lowering.between(form, layer.x.shape, "all")
    emit_layer(lowering, layer, made)
    if any(first):
        source, made = made, lowering.between(form, layer.x.shape, "moved")
        emit_layer(lowering, moved(source, first, lowering.step), made)
    if way == BEHIND:
        lowering.unpicked[chain.end] = made
        return
    y = lowering.new_bytes(chain.end, form)
    emit_layer(lowering, unit(made, "left_top_2_s2", lowering.step), y)


def _start(lowering: Lowering) -> tuple[Node, Chain, Weighted, QuantizedTensor, Codes]:
    node = lowering.node
    chain = lowering.chains.behind(node.outputs[0])
    x = lowering.unpicked.get(node.inputs[0]) or lowering.bytes(node.inputs[0])
    found = lowering.weighted()
    assert lowering.assembly is not None
    if found is None:
        lowering.fail("its weights and biases must be constants")
    made = row_codes(lowering.assembly, found, x)
    return node, chain, found, x, Codes(made.integers, made.scales, made.bias)


def _steps(strides: list[int], rows: Axis) -> tuple[int, int]:
    return strides[0] // rows.stride, strides[1] // rows.stride


def _gathered(
    lowering: Lowering,
    x: QuantizedTensor,
    weight: NDArray[np.integer],
    group: int,
    narrow: bool,
    rows: Axis,
    columns: Axis,
) -> tuple[NDArray[np.integer], QuantizedTensor]:
    """The weights [O, copies * C, k, k] and the copies of x side by side."""
    dense = weight if narrow else _dense(weight, group)
    single = all(place == 0 for axis in (rows, columns) for run in axis.runs for _, place in run.taps)
    kernel = 1 if single else 3
    maps, parts = [], []
    for down, right in product(rows.runs, columns.runs):
        part = np.zeros((*dense.shape[:2], kernel, kernel), dense.dtype)
        for (row, at_row), (column, at_column) in product(down.taps, right.taps):
            part[:, :, at_row + kernel // 2, at_column + kernel // 2] = dense[:, :, row, column]
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


def _dense(weight: NDArray[np.integer], group: int) -> NDArray[np.integer]:
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


def _finish(
    lowering: Lowering,
    x: QuantizedTensor,
    codes: Codes,
    chain: Chain,
    pool: Pool | None,
    narrow: bool,
    axes: tuple[Axis, Axis],
    steps: tuple[int, int],
) -> None:
    """The layer, and what of its cells are the output."""
    name = chain.end if pool is None else pool.node.outputs[0]
    form = lowering.left(chain.end, _last(lowering, chain))
    whole = all(axis.is_whole and axis.stride == 1 for axis in axes)
    layer = Layer(x, codes, of_chain(chain), "bypass", narrow, lowering.step)
    if whole and pool is None and steps == (1, 1) and not narrow and begins(lowering, chain.end):
        lowering.begun[chain.end] = lowering.between(form, lowering.graph.shapes[chain.end], "begun")
        emit_layer(lowering, layer._replace(pool=GROW), lowering.begun[chain.end])
        return
    y = bounded_bytes(lowering, form, lowering.graph.shapes[name])
    stride = 1 if pool is None else pool.stride
    made = (y.shape[0], y.shape[1], *(axis.made // stride for axis in axes))
    text = pool.name if pool else "left_top_2_s2" if axes[0].stride == 2 else "bypass"
    trim = None
    if made != y.shape:
        trim = Trim(made, (0, 0, *(axis.first // stride for axis in axes)), (1, 1, *steps))
    if pool is not None and pool.padded and not whole:  # its windows would see cells behind the map's end
        kept = lowering.between(y, y.shape, "kept")
        emit_layer(lowering, layer, kept, trim)
        large = repeated(lowering, kept)
        layer = unit(large, text, lowering.step)
        trim = None if large is kept else Trim(large.shape, (0, 0, 0, 0), (1, 1, 1, 1))
    emit_layer(lowering, layer._replace(pool=text), y, trim)
    within_bounds(lowering, y)


def _last(lowering: Lowering, chain: Chain) -> str:
    return chain.nodes[-1].op if chain.nodes else lowering.node.op


def gemm(lowering: Lowering) -> tuple[Node, ...]:
    """A constant matrix on rows [.., K] as a 1x1 convolution: rows become cells of a map of K channels."""
    node, chain, _, x, codes = _start(lowering)
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
    y = lowering.new_bytes(chain.end, lowering.left(chain.end, _last(lowering, chain)))
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


SUMS = ("Add", "Sub", "Sum")
BUILDERS = {
    "AveragePool": pool_alone,
    "Conv": conv,
    "Gemm": gemm,
    "MatMul": gemm,
    "MaxPool": pool_alone,
    **dict.fromkeys(SUMS, total),
}


def on_kpu(lowering: Lowering, node: Node) -> bool:
    """Whether the node is to be a KPU layer. Sums need no layer: one that the RAM that is left does not hold
    is done by the CPU."""
    told = lowering.assembly is not None and lowering.units.get(node.name) == "npu"
    return told and node.op in BUILDERS and (node.op not in SUMS or holds(lowering, node))
