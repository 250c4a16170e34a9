"""Convolutions and pools of floats on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.kpu.lowering.lowering import FLOATS, Lowering
from modelbuild.kpu.lowering.moving import Moves, Wanted
from modelbuild.kpu.lowering.reductions import mean
from modelbuild.quantize.builders.products import transposed_window, zero_stuffed
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.windows import explicit_pads, pair

Tensor = QuantizedTensor


def _picture(lowering: Lowering, x: Tensor) -> Tensor:
    """[N, C, L] as [N, C, 1, L]."""
    if len(x.shape) == 4:
        return x
    made = lowering.between(x, (x.shape[0], x.shape[1], 1, x.shape[2]), "wide")
    lowering.emit("reshape", (x,), made, {})
    return made


def _out(lowering: Lowering, y: Tensor) -> Tensor:
    return y if len(y.shape) == 4 else lowering.between(y, (*y.shape[:2], 1, y.shape[2]), "row")


def close(lowering: Lowering, made: Tensor, y: Tensor) -> None:
    """y is what was made, in its own shape."""
    if made is not y:
        lowering.emit("reshape", (made,), y, {})


def conv(lowering: Lowering, _: Wanted) -> None:
    """Conv on [N, C, H, W] or [N, C, L]."""
    node, found = lowering.node, lowering.weighted()
    if found is None:
        lowering.fail("its weights and biases must be constants")
    x, y = lowering.tensor(node.inputs[0]), lowering.output()
    spatial = len(x.shape) - 2
    if spatial not in (1, 2):
        lowering.fail(f"it has {spatial} spatial axes; one or two can be built")
    window: dict[str, Parameter] = {
        "strides": pair(node.ints("strides", [1] * spatial), 1),
        "dilations": pair(node.ints("dilations", [1] * spatial), 1),
        "pads": explicit_pads(node, x.shape[2:], found.weight.shape[2:], y.shape[2:]),
    }
    _emit_conv(lowering, found, x, y, window)


def _emit_conv(
    lowering: Lowering, found: Weighted, x: Tensor, y: Tensor, window: dict[str, Parameter]
) -> None:
    out, weight = _out(lowering, y), found.weight
    constants = {
        "weight": np.asarray(weight if weight.ndim == 4 else weight[:, :, None, :], np.float32),
        "bias": np.asarray(found.bias, np.float32),
        **lowering.bounds(),
    }
    parameters = {**window, "group": found.group}
    lowering.emit("conv", (_picture(lowering, x),), out, parameters, constants)
    close(lowering, out, y)


def conv_transpose(lowering: Lowering, _: Wanted) -> None:
    """Zeros between the cells, then an ordinary convolution."""
    found, moves = lowering.weighted(), Moves(lowering, FLOATS)
    x = lowering.tensor(lowering.node.inputs[0])
    if found is None or len(x.shape) != 4:
        lowering.fail("its weights must be constants and its input [N, C, H, W]")
    window = transposed_window(moves, found)
    stuffed = zero_stuffed(moves, x, lowering.node.ints("strides", [1, 1]))
    _emit_conv(lowering, found, stuffed, lowering.output(), window)


def max_pool(lowering: Lowering, _: Wanted) -> None:
    """The largest of each window."""
    if len([name for name in lowering.node.outputs if name]) > 1:
        lowering.fail("its second output, the indices, has no fixed-point form")
    _window(lowering, "max")


def average_pool(lowering: Lowering, wanted: Wanted) -> None:
    """The mean of each window, or of the whole map."""
    node = lowering.node
    shape = lowering.graph.shapes[node.inputs[0]]
    kernel, pads = node.ints("kernel_shape", []), node.ints("pads", [])
    if tuple(kernel) == shape[2:] and not any(pads):
        mean(lowering, wanted, tuple(range(2, len(shape))), True)
        return
    _window(lowering, "mean")


def _window(lowering: Lowering, op: str) -> None:
    node = lowering.node
    x, y = lowering.tensor(node.inputs[0]), lowering.output()
    axes = len(y.shape) - 2
    if axes not in (1, 2):
        lowering.fail(f"it has {axes} spatial axes; one or two can be built")
    kernel = node.ints("kernel_shape", [])
    pads = explicit_pads(node, x.shape[2:], kernel, y.shape[2:])
    x, out = _picture(lowering, x), _out(lowering, y)
    if op == "mean" and any(pads) and node.int("count_include_pad", 0):
        if node.int("ceil_mode", 0):
            lowering.fail("count_include_pad together with ceil_mode has no fixed-point form")
        top, left, bottom, right = pads
        sizes = (x.shape[2] + top + bottom, x.shape[3] + left + right)
        wide = lowering.between(x, (*x.shape[:2], *sizes), "padded")
        ends: dict[str, Parameter] = {"before": (0, 0, top, left), "after": (0, 0, bottom, right)}
        lowering.emit("pad", (x,), wide, {**ends, "mode": "constant"}, {"value": np.zeros((), np.float32)})
        x, pads = wide, (0, 0, 0, 0)
    parameters: dict[str, Parameter] = {
        "op": op,
        "kernel": pair(kernel, 1),
        "strides": pair(node.ints("strides", [1] * axes), 1),
        "pads": pads,
        "dilations": pair(node.ints("dilations", [1] * axes), 1),
    }
    lowering.emit("window", (x,), out, parameters, lowering.bounds())
    close(lowering, out, y)


BUILDERS: dict[str, Callable[[Lowering, Wanted], None]] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
}
