"""Conv as KPU layers, with the functions and the pool behind it."""

from __future__ import annotations

from typing import NamedTuple

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.graph.chains import Chain
from modelbuild.graph.layer_maps import takes_phases
from modelbuild.graph.model import Node
from modelbuild.graph.taps import Axis, Window, layer_axes
from modelbuild.kpu.lowering.cells import repeated
from modelbuild.kpu.lowering.dividing import emit_layer
from modelbuild.kpu.lowering.functions import of_chain
from modelbuild.kpu.lowering.gathering import dense_weight, gathered
from modelbuild.kpu.lowering.largest import GROW
from modelbuild.kpu.lowering.layer import Codes, Layer, Trim
from modelbuild.kpu.lowering.layered import on_kpu
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.odd import Odd, centres, laid, pays
from modelbuild.kpu.lowering.phases import phases
from modelbuild.kpu.lowering.pools import (
    Pool,
    begin,
    begins,
    bounded_bytes,
    pool_behind,
    within_bounds,
)
from modelbuild.kpu.lowering.start import left_by, start
from modelbuild.kpu.lowering.strided import BEHIND, CPU, DENSE, UNIT, Strided, picker
from modelbuild.kpu.lowering.unit import moved, unit
from modelbuild.quantize.windows import explicit_pads


def conv(lowering: Lowering) -> tuple[Node, ...]:
    """Conv on [N, C, H, W]; the nodes that the layer stands for."""
    node, chain, found, x, codes = start(lowering)
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
    own = taps if narrow else dense_weight(taps, found.group)
    weight, maps = gathered(lowering, x, own, (rows, columns))
    wide = Codes(weight, codes.scales, codes.bias)
    if way in (BEHIND, UNIT):
        layer = Layer(maps, wide, of_chain(chain), "bypass", True, lowering.step)
        _unpicked(lowering, layer, chain, way, (rows.first, columns.first))
    else:
        layer = Layer(maps, wide, of_chain(chain), "bypass", narrow, lowering.step)
        _finish(lowering, layer, _End(chain, pool, (rows, columns), _steps(strides, rows)))
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
    y = lowering.new_bytes(chain.end, left_by(lowering, chain))
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
    form = left_by(lowering, chain)
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


def _steps(strides: list[int], rows: Axis) -> tuple[int, int]:
    return strides[0] // rows.stride, strides[1] // rows.stride


class _End(NamedTuple):
    """The functions and the pool behind a layer, how its window goes along both axes, and every how manyth of
    the cells that it leaves is one of the output's."""

    chain: Chain
    pool: Pool | None
    axes: tuple[Axis, Axis]
    steps: tuple[int, int]


def _finish(lowering: Lowering, layer: Layer, end: _End) -> None:
    """The layer, and what of its cells are the output."""
    chain, pool, axes, steps = end
    name = chain.end if pool is None else pool.node.outputs[0]
    form = left_by(lowering, chain)
    whole = all(axis.is_whole and axis.stride == 1 for axis in axes)
    if whole and pool is None and steps == (1, 1) and not layer.depthwise and begins(lowering, chain.end):
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
