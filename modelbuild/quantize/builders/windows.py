"""Window attributes of ONNX -> the four pads and pairs of the fixed operators."""

from __future__ import annotations

from collections.abc import Sequence

from modelbuild.graph.model import Node
from modelbuild.quantize.assembly import Assembly


def pair(values: Sequence[int], filler: int) -> tuple[int, int]:
    """Two numbers from one (for [N, C, L] seen as [N, C, 1, L]) or two."""
    return (filler, values[0]) if len(values) == 1 else (values[0], values[1])


def explicit_pads(
    assembly: Assembly, size: Sequence[int], kernel: Sequence[int], out: Sequence[int]
) -> tuple[int, int, int, int]:
    """`explicit_pads_of` the node that is being built."""
    return explicit_pads_of(assembly.node, size, kernel, out)


def explicit_pads_of(
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
