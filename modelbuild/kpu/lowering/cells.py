"""Cells of maps that the CPU cuts out, lays around or shapes anew before and behind KPU layers."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.formats.kmodel.kpu_geometry import LEAST
from modelbuild.kpu.lowering.lowering import Lowering


def cut(
    lowering: Lowering,
    x: QuantizedTensor,
    y: QuantizedTensor,
    starts: tuple[int, ...],
    steps: tuple[int, ...] | None = None,
) -> None:
    """y is x from `starts` on, every so-manyth cell."""
    steps = steps or (1,) * len(starts)
    ends = tuple(
        start + step * (size - 1) + 1 for start, step, size in zip(starts, steps, y.shape, strict=True)
    )
    parameters: dict[str, Parameter] = {"starts": starts, "ends": ends, "steps": steps}
    lowering.emit("slice", (x,), y, parameters)


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


def repeated(lowering: Lowering, x: QuantizedTensor) -> QuantizedTensor:
    """x [N, C, H, W] with its last row and column again, until a layer takes it: a maximum is the same."""
    after = tuple(max(0, LEAST - size) for size in x.shape[2:])
    if not any(after):
        return x
    y = lowering.between(x, (*x.shape[:2], *(max(LEAST, size) for size in x.shape[2:])), "repeated")
    sides: dict[str, Parameter] = {"before": (0, 0, 0, 0), "after": (0, 0, *after), "mode": "edge"}
    lowering.emit("pad", (x,), y, sides, {"value": np.array(0, np.uint8)})
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
