"""Random nodes on pictures: windows, resizing, and what networks make of a few of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.kpu.lowering.graph_maker import F, Maker


def conv(maker: Maker, x: str) -> str | None:
    _, channels, *size = maker.shape(x)
    kernel = [maker.pick((1, 1, 2, 3, 3, 3, 5)) for _ in size]
    dilation, stride = maker.pick((1, 1, 1, 2)), maker.pick((1, 1, 1, 2, 3))
    pads = [maker.whole(0, 2) for _ in range(2 * len(size))]
    reach = [(k - 1) * dilation + 1 for k in kernel]
    if any(s + pads[i] + pads[i + len(size)] < reach[i] for i, s in enumerate(size)):
        return None
    group = maker.pick((1, 1, 1, channels, *([2] if channels % 2 == 0 else [])))
    outputs = group * maker.whole(1, 3) if maker.whole(0, 1) or group > 1 else maker.whole(1, 9)
    weights = maker.floats(
        outputs, channels // group, *kernel, scale=1 / math.sqrt(channels * math.prod(kernel))
    )
    inputs = [x, weights, *([maker.floats(outputs)] if maker.whole(0, 2) else [])]
    lists = {"strides": [stride] * len(size), "dilations": [dilation] * len(size), "pads": pads}
    return maker.one("Conv", *inputs, kernel_shape=kernel, group=group, **lists)


def transposed(maker: Maker, x: str) -> str:
    _, channels, *size = maker.shape(x)
    kernel, stride = maker.pick((2, 3)), maker.pick((1, 2))
    weights = maker.floats(channels, maker.whole(1, 4), *[kernel] * len(size))
    return maker.one(
        "ConvTranspose", x, weights, kernel_shape=[kernel] * len(size), strides=[stride] * len(size)
    )


def pool(maker: Maker, x: str) -> str | None:
    size = maker.shape(x)[2:]
    if maker.whole(0, 4) == 0:
        return maker.one(maker.pick(("GlobalAveragePool", "GlobalMaxPool")), x)
    kernel, stride = maker.pick((2, 2, 3, 4)), maker.pick((1, 2, 2, 4))
    if min(size) < kernel:
        return None
    op = maker.pick(("MaxPool", "AveragePool"))
    lists = {"kernel_shape": [kernel] * len(size), "strides": [stride] * len(size)}
    if maker.whole(0, 2) == 0:
        lists["pads"] = [maker.whole(0, kernel // 2) for _ in range(2 * len(size))]
    elif min(size) >= stride and maker.whole(0, 2) == 0:
        return maker.one(op, x, **lists, ceil_mode=1)
    if op == "AveragePool":
        return maker.one(op, x, **lists, count_include_pad=maker.whole(0, 1))
    return maker.one(op, x, **lists)


def resize(maker: Maker, x: str) -> str:
    batch, channels, height, width = maker.shape(x)
    attributes: dict[str, Any] = {
        "mode": maker.pick(("nearest", "linear")),
        "coordinate_transformation_mode": maker.pick(("half_pixel", "asymmetric", "align_corners")),
    }
    if attributes["mode"] == "nearest":
        attributes["nearest_mode"] = maker.pick(("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"))
    if maker.whole(0, 1):
        scales = [maker.pick((1, 1.5, 2, 2, 0.7, 2.3)), maker.pick((1, 1.5, 2, 3, 0.3, 2.7))]
        kept = [
            scale if size * scale >= 1 else 1 for size, scale in zip((height, width), scales, strict=True)
        ]
        return maker.one("Resize", x, "", maker.constant(np.array([1, 1, *kept], F)), **attributes)
    sizes = maker.longs(batch, channels, maker.whole(1, 2 * height), maker.whole(1, width + 3))
    return maker.one("Resize", x, "", "", sizes, **attributes)


def depth(maker: Maker, x: str) -> str | None:
    _, channels, height, width = maker.shape(x)
    if channels % 4 == 0:
        return maker.one("DepthToSpace", x, blocksize=2, mode=maker.pick(("DCR", "CRD")))
    return maker.one("SpaceToDepth", x, blocksize=2) if height % 2 == width % 2 == 0 else None


def prelu(maker: Maker, x: str) -> str:
    channels = maker.shape(x)[1]
    return maker.one("PRelu", x, maker.floats(channels if maker.whole(0, 2) else 1, 1, 1))


def residual(maker: Maker, x: str) -> str | None:
    made = conv(maker, x)
    if made is None:
        return None
    others = [name for name in maker.known if maker.shape(name) == maker.shape(made)]
    return maker.one("Add", made, maker.pick(others)) if others else maker.one("Relu", made)


def block(maker: Maker, x: str) -> str:
    """Two maps whose channels fill rows of the KPU's RAM, added or joined."""
    channels, wide = maker.shape(x)[1], 4 * maker.whole(1, 3)
    first = maker.one("Conv", x, maker.floats(wide, channels, 1, 1), kernel_shape=[1, 1])
    weights = maker.floats(wide, wide, 3, 3, scale=1 / math.sqrt(9 * wide))
    second = maker.one("Conv", first, weights, kernel_shape=[3, 3], pads=[1] * 4)
    if maker.whole(0, 2) == 0:
        joined = maker.one("Concat", first, second, axis=1)
        return maker.one("Conv", joined, maker.floats(3, 2 * wide, 1, 1), kernel_shape=[1, 1])
    total = maker.one(maker.pick(("Add", "Sub", "Sum")), *maker.pick(((first, second), (second, first))))
    maker.known.append(total)
    return maker.one(maker.pick(("Relu", "HardSwish", "Sigmoid")), total) if maker.whole(0, 1) else total
