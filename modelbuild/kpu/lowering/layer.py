"""One KPU layer, or a few where a limit of the chip asks for it, from integer weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.formats.kmodel.kpu_geometry import LOAD_BYTES
from modelbuild.formats.kmodel.kpu_registers import RAM_UNIT, row_layout
from modelbuild.kpu.lowering.functions import Function
from modelbuild.kpu.lowering.lowering import ON_KPU, Lowering
from modelbuild.kpu.quantizing import layer_constants

MOST_CHANNELS = 1024
MOST_LOADS = 64
RAM_BYTES = 2 << 20


class Codes(NamedTuple):
    """Integer weights [O, I, k, k] (int8, symmetric), a scale and a bias (in steps of the input's scale times
    the weights') an output channel."""

    weight: NDArray[np.integer]
    scales: NDArray[np.float64]
    bias: NDArray[np.integer]


def emit_layer(
    lowering: Lowering,
    x: QuantizedTensor,
    y: QuantizedTensor,
    codes: Codes,
    function: Function,
    pool: str = "bypass",
    depthwise: bool = False,
) -> None:
    """y = pool(function(x * weights + bias)). Output channels are divided among layers where they are too
    many, need too many loads of weights, or where the KPU's RAM cannot hold them beside the input."""
    outputs, channels, kernel, _ = codes.weight.shape
    if (x.shape[1] if depthwise else channels) > MOST_CHANNELS:
        lowering.fail(f"it reads {x.shape[1]} channels, and a layer takes {MOST_CHANNELS}")
    most = _most_outputs(x, y, channels * kernel**2, depthwise)
    if most < 1:
        lowering.fail(f"its input and one channel of its output do not fit {RAM_BYTES} bytes")
    if outputs <= most:
        _emit(lowering, x, y, codes, function, pool, depthwise)
        return
    parts = []
    for start in range(0, outputs, most):
        span = slice(start, min(start + most, outputs))
        part = lowering.between(y, (y.shape[0], span.stop - start, *y.shape[2:]), "part")
        own = Codes(codes.weight[span], codes.scales[span], codes.bias[span])
        read = _channels(lowering, x, span) if depthwise else x
        _emit(lowering, read, part, own, function, pool, depthwise)
        parts.append(part)
    lowering.emit("concat", parts, y, {"axis": 1})


def _channels(lowering: Lowering, x: QuantizedTensor, span: slice) -> QuantizedTensor:
    """Some channels of x."""
    y = lowering.between(x, (x.shape[0], span.stop - span.start, *x.shape[2:]), "channels")
    ends = (x.shape[0], span.stop, *x.shape[2:])
    parameters: dict[str, Parameter] = {"starts": (0, span.start, 0, 0), "ends": ends, "steps": (1,) * 4}
    lowering.emit("slice", (x,), y, parameters)
    return y


def _most_outputs(x: QuantizedTensor, y: QuantizedTensor, weights: int, depthwise: bool) -> int:
    """How many output channels a layer may have."""
    side_by_side = row_layout(y.shape[3])[0]
    if depthwise:  # what it reads grows with what it leaves
        pair = sum(
            ram_bytes((each.shape[0], row_layout(each.shape[3])[0], *each.shape[2:])) for each in (x, y)
        )
        return min(RAM_BYTES // pair * min(side_by_side, row_layout(x.shape[3])[0]), MOST_CHANNELS)
    one = y.shape[0] * RAM_UNIT * row_layout(y.shape[3])[1] * y.shape[2]
    room = (RAM_BYTES - ram_bytes(x.shape)) // one
    return min(side_by_side * max(room, 0), MOST_LOADS * (LOAD_BYTES // weights), MOST_CHANNELS)


def ram_bytes(shape: tuple[int, ...]) -> int:
    """What a map [N, C, H, W] takes in the KPU's RAM."""
    groups, row = row_layout(shape[3])
    return shape[0] * RAM_UNIT * row * shape[2] * -(-shape[1] // groups)


def _emit(
    lowering: Lowering,
    x: QuantizedTensor,
    y: QuantizedTensor,
    codes: Codes,
    function: Function,
    pool: str,
    depthwise: bool,
) -> None:
    parameters, constants = layer_constants(*codes, x, y, function, depthwise=depthwise, pool=pool)
    lowering.emit(ON_KPU, (x,), y, parameters, constants)


def padded(
    lowering: Lowering, x: QuantizedTensor, before: tuple[int, int], after: tuple[int, int]
) -> QuantizedTensor:
    """x [N, C, H, W] with rows and columns of its zero point around it."""
    if not any((*before, *after)):
        return x
    sizes = tuple(sum(each) for each in zip(before, x.shape[2:], after, strict=True))
    y = lowering.between(x, (*x.shape[:2], *sizes), "padded")
    value = {"value": np.array(x.zero_point, np.uint8)}
    parameters: dict[str, Parameter] = {
        "before": (0, 0, *before),
        "after": (0, 0, *after),
        "mode": "constant",
    }
    lowering.emit("pad", (x,), y, parameters, value)
    return y


def reshaped(
    lowering: Lowering, x: QuantizedTensor, shape: tuple[int, ...], role: str = "shaped"
) -> QuantizedTensor:
    """The same values in another shape."""
    if x.shape == shape:
        return x
    y = lowering.between(x, shape, role)
    lowering.emit("reshape", (x,), y, {})
    return y
