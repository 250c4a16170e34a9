"""Random nodes on maps that no layer of the KPU takes."""

from __future__ import annotations

import math

from tests.kpu.lowering.graph_maker import Maker


def wide_conv(maker: Maker, x: str) -> str | None:
    _, channels, *size = maker.shape(x)
    kernel, outputs = maker.pick((2, 3, 3, 3, 3, 5, 6, 7)), maker.pick((12, 16, 24))
    pads = maker.pick(([kernel // 2] * 4, [0] * 4, [0, 0, 1, 1], [1, 0, 0, 1]))
    if min(size) + min(pads) < kernel:
        return None
    weights = maker.floats(outputs, channels, kernel, kernel, scale=1 / math.sqrt(channels * kernel**2))
    stride = maker.pick((1, 1, 1, 2, 2, 3))
    lists = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
    return maker.one("Conv", x, weights, maker.floats(outputs), **lists)


def simple(maker: Maker, x: str) -> str:
    return maker.one(maker.pick(("Relu", "LeakyRelu", "HardSwish", "Sigmoid")), x)


def wide_pool(maker: Maker, x: str) -> str | None:
    size = maker.shape(x)[2:]
    kernel, stride = maker.pick(((2, 1), (2, 2), (3, 2), (3, 1), (5, 1), (4, 4)))
    if min(size) < kernel:
        return None
    pads = maker.pick(([0] * 4, [0, 0, 1, 1], [kernel // 2] * 4))
    lists = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
    return maker.one("MaxPool" if kernel < 4 or stride == 1 else "AveragePool", x, **lists)
