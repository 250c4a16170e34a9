"""The windows of Conv and pools with explicit pads, as a transposed convolution takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.graph.gradients.step import Step, attribute


@dataclass(frozen=True)
class Window:
    """One number a spatial axis; `pads` first all in front, then all behind.

    `left_over` cells at the end of each axis no window reaches.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: list[int]
    left_over: list[int]


def window_of(step: Step, kernel: Sequence[int]) -> Window:
    """The window of the step's node, `auto_pad` and `ceil_mode` worked out from its output's size."""
    node, axes = step.node, len(kernel)
    strides, dilations = node.ints("strides", [1] * axes), node.ints("dilations", [1] * axes)
    pads = node.ints("pads", [0] * (2 * axes))
    mode = attribute(step, "auto_pad", "NOTSET")
    sizes, counts = step.shape(step.x)[2:], step.shape(step.y)[2:]
    before, after, left_over = [], [], []
    for axis in range(axes):
        reach = (counts[axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1
        missing = max(reach - sizes[axis], 0)
        first, last = (pads[axis], pads[axes + axis]) if mode == "NOTSET" else (0, 0)
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            first = (missing + (mode == "SAME_LOWER")) // 2
            last = missing - first
        last = max(last, reach - sizes[axis] - first)
        before.append(first)
        after.append(last)
        left_over.append(sizes[axis] - (reach - first - last))
    return Window(list(kernel), strides, dilations, [*before, *after], left_over)
