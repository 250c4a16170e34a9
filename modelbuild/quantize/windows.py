"""Window attributes of ONNX -> the four pads and pairs of the fixed operators; how often a tap is used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Node


def pair(values: Sequence[int], filler: int) -> tuple[int, int]:
    """Two numbers from one (for [N, C, L] seen as [N, C, 1, L]) or two."""
    return (filler, values[0]) if len(values) == 1 else (values[0], values[1])


def explicit_pads(
    node: Node, size: Sequence[int], kernel: Sequence[int], out: Sequence[int]
) -> tuple[int, int, int, int]:
    """Top, left, bottom, right, with `auto_pad` and `ceil_mode` worked out from the output's size.

    A window that begins beyond what is padded is given pads at the end; one that stops short needs none.
    """
    axes = len(size)
    strides, dilations = node.ints("strides", [1] * axes), node.ints("dilations", [1] * axes)
    pads = node.ints("pads", [0] * (2 * axes))
    mode = node.attributes.get("auto_pad", "NOTSET")
    before, after = [], []
    for axis in range(axes):
        reach = (out[axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1
        missing = max(reach - size[axis], 0)
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            first = missing // 2 if mode == "SAME_UPPER" else missing - missing // 2
            before.append(first)
            after.append(missing - first)
            continue
        start, end = (pads[axis], pads[axes + axis]) if mode == "NOTSET" else (0, 0)
        before.append(start)
        after.append(max(end, reach - size[axis] - start) if node.int("ceil_mode", 0) else end)
    top, left = pair(before, 0)
    bottom, right = pair(after, 0)
    return top, left, bottom, right


def coverage(
    node: Node, size: Sequence[int], kernel: Sequence[int], out: Sequence[int]
) -> NDArray[np.float64]:
    """[*kernel], as the weights are stored: the share of the outputs in which a tap meets a value of the
    input, not padding or, of a ConvTranspose, a zero between the values. One or two axes.
    """
    axes = len(size)
    strides, dilations = node.ints("strides", [1] * axes), node.ints("dilations", [1] * axes)
    transposed = node.op == "ConvTranspose"
    before = (
        node.ints("pads", [0] * 2 * axes)[:axes]
        if transposed
        else explicit_pads(node, size, kernel, out)[2 - axes : 2]
    )
    shares = []
    for axis in range(axes):
        taps = np.arange(kernel[axis]) * dilations[axis] - before[axis]
        steps, limit = (size, out) if transposed else (out, size)
        places = np.arange(steps[axis]) * strides[axis] + taps[:, None]
        shares.append(((places >= 0) & (places < limit[axis])).sum(axis=1) / max(out[axis], 1))
    return np.asarray(reduce(np.multiply.outer, shares))
