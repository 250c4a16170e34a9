"""Max pools as the chip has them, one after the other: over 2x2 cells with stride 1, which makes a window one
cell larger, and with stride 2. Windows that begin before the map are moved by one cell in between; where they
reach over its border, the least code lies there, which no maximum sees."""

from __future__ import annotations

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.formats.kmodel.kpu_registers import shape_bytes
from modelbuild.graph.model import Node
from modelbuild.kpu.lowering.dividing import emit_layer
from modelbuild.kpu.lowering.layer import Layer
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.unit import dropped, unit

GROW, DROP, HALVE = "max_2_s1", "bypass", "max_2_s2"  # the pools of the layers


def pools_of(node: Node, size: tuple[int, ...], out: tuple[int, ...]) -> tuple[str, ...]:
    """The steps that a MaxPool from maps of `size` to `out` is; none where it is no such row."""
    if node.op != "MaxPool" or len([name for name in node.outputs if name]) > 1 or node.int("ceil_mode", 0):
        return ()
    kernel, strides = node.ints("kernel_shape", []), node.ints("strides", [1, 1])
    pads, dilations = node.ints("pads", [0, 0, 0, 0]), node.ints("dilations", [1, 1])
    taps, stride, before = kernel[0], strides[0], pads[0]
    same = {*kernel} == {taps} and {*strides} == {stride} and pads[1] == before and dilations == [1, 1]
    fits = stride in (1, 2) and tuple(cells // stride for cells in size) == tuple(out)
    if not (same and fits) or taps < 2 or 2 * before > taps - 1:
        return ()
    steps = [GROW, DROP, GROW] * before + [GROW] * (taps - 1 - 2 * before)
    return (*steps[:-1], GROW if stride == 1 else HALVE)


def emit_pools(lowering: Lowering, x: QuantizedTensor, steps: tuple[str, ...], y: QuantizedTensor) -> None:
    """y is what the steps leave of x. A move is a depthwise layer where the KPU's RAM holds both maps; else
    the next layer moves, whose pool leaves less."""
    waiting = list(steps)
    while waiting:
        pool = waiting.pop(0)
        drops = pool == DROP
        if drops and 2 * shape_bytes(x.shape) > lowering.ram_bytes:
            pool = waiting.pop(0)
        stride = 2 if pool == HALVE else 1
        shape = (*x.shape[:2], *(cells // stride for cells in x.shape[2:]))
        made = lowering.between(x, shape, "largest") if waiting else y
        layer: Layer = dropped(x, pool, lowering.step) if drops else unit(x, pool, lowering.step)
        emit_layer(lowering, layer, made)
        x = made
