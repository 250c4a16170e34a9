"""Steps of a growing model that look at windows of a picture: convolutions, pools, a bilinear Resize."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import Integers, QuantizedTensor
from modelbuild.arithmetic.windows import extents
from tests.arithmetic.dice import weights
from tests.npu.growth import Growth


def conv(growth: Growth) -> None:
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 4:
        return
    group = (dice.whole(0, 1) and x.shape[1]) or 1
    kernel = (3, 3) if min(x.shape[2:]) > 2 and dice.whole(0, 2) else (1, 1)
    stride = dice.whole(1, 2)
    outputs = group if group > 1 else dice.whole(1, 9)
    pad = kernel[0] // 2
    size = tuple((extent + 2 * pad - kernel[0]) // stride + 1 for extent in x.shape[2:])
    y = growth.put(growth.name(), (x.shape[0], outputs, *size))
    constants = weights(dice, (outputs, x.shape[1] // group, *kernel))
    largest = math.prod(constants["weight"].shape[1:]) * (1 << (2 * dice.bits)) // 32
    p = {"strides": (stride, stride), "pads": (pad,) * 4, "dilations": (1, 1), "group": group}
    p |= {"input_zero": x.zero_point, **dice.bounds(y)}
    growth.grow("conv", [x.name], y, p, constants | dice.rows(outputs, largest, y))


def _window(growth: Growth) -> tuple[QuantizedTensor, dict[str, Any], tuple[int, ...]] | None:
    """A picture, a window on it that may leave rows out, and the picture's size behind it."""
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 4:
        return None
    kernel = tuple(dice.whole(1, min(3, extent)) for extent in x.shape[2:])
    pads = tuple(dice.whole(0, (kernel[side % 2] - 1) // 2) for side in range(4))
    strides = dice.whole(1, 3), dice.whole(1, 3)
    size = extents(x.shape, kernel, strides, (1, 1), pads)
    return x, {"kernel": kernel, "strides": strides, "pads": pads}, tuple(size)


def max_pool(growth: Growth) -> None:
    found = _window(growth)
    if found:
        x, window, size = found
        y = growth.put(growth.name(), (*x.shape[:2], *size), x)
        growth.grow("max_pool", [x.name], y, window | {"dilations": (1, 1), "low": y.low, "high": y.high})


def average_pool(growth: Growth) -> None:
    found = _window(growth)
    if found:
        x, window, size = found
        y = growth.put(growth.name(), (*x.shape[:2], *size))
        counts = np.arange(1, math.prod(window["kernel"]) + 1, dtype=np.int32)
        rows = growth.dice.rows(len(counts), len(counts) << x.bits, y)
        p = window | {"count_include_pad": growth.dice.whole(0, 1), "input_zero": x.zero_point}
        growth.grow("average_pool", [x.name], y, p | growth.dice.bounds(y), {"count": counts, **rows})


def dilated(growth: Growth) -> None:
    """A convolution with dilation, uneven strides and pads, and groups of several channels."""
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 4 or min(x.shape[2:]) < 2:
        return
    dilations, strides = (dice.whole(1, 2), dice.whole(1, 2)), (dice.whole(1, 3), dice.whole(1, 3))
    pads = tuple(dice.whole(0, 3) for _ in range(4))
    size = extents(x.shape, (2, 2), strides, dilations, pads)
    if min(size) < 1:
        return
    group = math.gcd(x.shape[1], 2)
    outputs = group * dice.whole(1, 3)
    y = growth.put(growth.name(), (x.shape[0], outputs, *size))
    constants = weights(dice, (outputs, x.shape[1] // group, 2, 2))
    largest = math.prod(constants["weight"].shape[1:]) * (1 << (2 * dice.bits)) // 32
    p = {"strides": strides, "pads": pads, "dilations": dilations, "group": group}
    p |= {"input_zero": x.zero_point, **dice.bounds(y)}
    growth.grow("conv", [x.name], y, p, constants | dice.rows(outputs, largest, y))


def spread(growth: Growth) -> None:
    """What `quantize` makes of a ConvTranspose: zeros between the cells, then a convolution."""
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 4 or math.prod(x.shape) > 600:
        return
    (n, c, h, w), (down, right) = x.shape, (dice.whole(1, 2), dice.whole(2, 3))
    name = growth.name()
    steps: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
        ("reshape", (n, c, h, 1, w, 1), {"shape": (n, c, h, 1, w, 1)}),
        (
            "pad",
            (n, c, h, down, w, right),
            {"before": (0,) * 6, "after": (0, 0, 0, down - 1, 0, right - 1), "value": x.zero_point},
        ),
        ("reshape", (n, c, h * down, w * right), {"shape": (n, c, h * down, w * right)}),
    ]
    ends = (n, c, (h - 1) * down + 1, (w - 1) * right + 1)
    steps.append(("slice", ends, {"starts": (0,) * 4, "ends": ends, "steps": (1,) * 4}))
    source = x.name
    for kind, shape, parameters in steps:
        made = growth.put(f"{name}{kind}{len(growth.operators)}", shape, x)
        growth.grow(kind, [source], made, parameters)
        source = made.name
    pads = tuple(dice.whole(0, 2) for _ in range(4))
    size = extents(ends, (2, 2), (1, 1), (1, 1), pads)
    if min(size) < 1:
        return
    outputs = dice.whole(1, 4)
    y = growth.put(f"{name}convolved", (n, outputs, *size))
    constants = weights(dice, (outputs, c, 2, 2))
    largest = c * 4 * (1 << (2 * dice.bits)) // 32
    p = {"strides": (1, 1), "pads": pads, "dilations": (1, 1), "group": 1}
    p |= {"input_zero": x.zero_point, **dice.bounds(y)}
    growth.grow("conv", [source], y, p, constants | dice.rows(outputs, largest, y))


def stretch(growth: Growth) -> None:
    """A bilinear Resize."""
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 4 or math.prod(x.shape) > 600:
        return
    size = tuple(max(1, extent + dice.whole(-2, extent)) for extent in x.shape[2:])
    y = growth.put(growth.name(), (*x.shape[:2], *size), x)
    constants: dict[str, Integers] = {}
    for role, before, after in (("row", x.shape[2], size[0]), ("column", x.shape[3], size[1])):
        low = np.arange(after, dtype=np.int32) * before // after
        part = dice.rng.integers(0, (1 << 11) + 1, after).astype(np.int32)
        constants[f"{role}s"] = np.stack([low, np.minimum(low + 1, before - 1)], axis=1)
        constants[f"{role}_weights"] = np.stack([(1 << 11) - part, part], axis=1)
    p = {"output_zero": y.zero_point, "low": y.low, "high": y.high}
    growth.grow("resize_linear", [x.name], y, p, constants)
