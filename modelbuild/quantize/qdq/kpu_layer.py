"""How a KPU layer is drawn: a convolution of whole numbers, the segments as a table of lines, a pool."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.kpu.layer import Lines, lines_of
from modelbuild.arithmetic.kpu.pools import PICKED, STRIDES
from modelbuild.arithmetic.kpu.reach import fixed_part
from modelbuild.quantize.qdq.drawing import Drawing


def kpu_conv(drawing: Drawing, bound: Bound) -> None:
    """Whole numbers in float32, then in float64, up to steps of the output: exact as long as no sum of
    products leaves ±2^24."""
    zero = bound.output.zero_point
    values = _normalized(drawing, bound)
    steps = drawing.clipped(bound.operator.name, _activated(drawing, bound, values), -zero, 255 - zero)
    drawing.quantize(bound.output, _pooled(drawing, bound, steps), zero)


def _normalized(drawing: Drawing, bound: Bound) -> str:
    """What the segments see: floor(sum · M / 2^s) + add. The input is counted from what pads it, which is put
    right by a constant a channel, so that the Conv pads with 0."""
    name, weight = bound.operator.name, bound.constant("weight").astype(np.int64)
    pad, arg_x, shift_x = (bound.number(key) for key in ("pad_value", "arg_x", "shift_x"))
    factors = weight if shift_x else weight + arg_x
    fixed = fixed_part(bound) + pad * factors.reshape(len(factors), -1).sum(axis=1)
    sums = _convolved(drawing, bound, _weights(drawing, bound))
    if shift_x:
        ones = drawing.initializer(f"{name}/ones", np.ones(_one_sum(bound), np.float32))
        share = float(np.ldexp(float(arg_x), -shift_x))
        total = drawing.node(
            "Add",
            name,
            [_convolved(drawing, bound, ones), drawing.number(pad * weight[0].size)],
        )
        total = drawing.node("Floor", name, [drawing.node("Mul", name, [total, drawing.number(share)])])
        sums = drawing.node("Add", name, [sums, total])
    multiplier, shift, add = (
        bound.constant(role).astype(np.int64) for role in ("bn_multiplier", "bn_shift", "bn_add")
    )
    factor = np.ldexp(multiplier.astype(np.float64), -shift)
    offset = np.ldexp((fixed * multiplier + (add << shift)).astype(np.float64), -shift)
    for op, wanted, constants in (("Mul", "factor", factor), ("Add", "offset", offset)):
        places = drawing.initializer(f"{name}/{wanted}", constants[:, None, None])
        sums = drawing.node(op, name, [sums, places])
    return drawing.node("Floor", name, [sums])


def _one_sum(bound: Bound) -> tuple[int, ...]:
    """The shape of weights that are all 1."""
    kernel, channels = bound.number("kernel"), bound.inputs[0].shape[1]
    return (channels, 1, kernel, kernel) if bound.number("depthwise") else (1, channels, kernel, kernel)


def _weights(drawing: Drawing, bound: Bound) -> str:
    """The edge of the weights in float32, with the correction by the bytes in them where it has no shift."""
    name, zero = bound.operator.constants["weight"], -bound.number("arg_x")
    if bound.number("shift_x"):
        zero = 0
    inside = min(max(zero, 0), 255)
    ends = [drawing.number(1, np.float32), drawing.number(inside, np.uint8)]
    found = drawing.node("DequantizeLinear", name, [drawing.constant(name), *ends])
    if zero == inside:
        return found
    return drawing.node("Sub", name, [found, drawing.number(zero - inside, np.float32)])


def _convolved(drawing: Drawing, bound: Bound, weights: str) -> str:
    name, kernel = bound.operator.name, bound.number("kernel")
    attributes: dict[str, Any] = {
        "kernel_shape": (kernel, kernel),
        "pads": (kernel // 2,) * 4,
        "group": bound.inputs[0].shape[1] if bound.number("depthwise") else 1,
    }
    steps = drawing.steps(bound.inputs[0], bound.number("pad_value"))
    return drawing.doubles(drawing.node("Conv", name, [steps, weights], attributes))


def _activated(drawing: Drawing, bound: Bound, values: str) -> str:
    """Steps of the output before they are limited, in doubles. The KPU rounds halves to even, and of a
    negative number takes the floor less what it would have added."""
    name, lines = bound.operator.name, lines_of(bound)
    lines = lines._replace(add=lines.add - bound.output.zero_point)
    slope, start, add = _chosen(drawing, name, values, lines)
    real = drawing.node("Add", name, [drawing.node("Mul", name, [values, slope]), start])
    whole = drawing.node("Round", name, [real])
    if lines.falls:
        floor = drawing.node("Floor", name, [real])
        twice = drawing.node("Mul", name, [floor, drawing.number(2)])
        below = drawing.node("Less", name, [real, drawing.number(0)])
        inward = drawing.node("Sub", name, [twice, whole])
        whole = drawing.node("Where", name, [below, inward, whole])
    return drawing.node("Add", name, [whole, add])


def _chosen(drawing: Drawing, name: str, values: str, lines: Lines) -> list[str]:
    """Slope, start and add of each value's line."""
    if not len(lines.after):
        return [drawing.number(float(constants[0])) for constants in lines[1:]]
    apart = drawing.node("Unsqueeze", name, [values, drawing.longs(f"{name}/last", (-1,))])
    above = drawing.node("Greater", name, [apart, drawing.initializer(f"{name}/after", lines.after)])
    counted = drawing.node("Cast", name, [above], {"to": TensorProto.FLOAT})
    axes, gone = drawing.longs(f"{name}/last", (-1,)), {"keepdims": 0}
    count = drawing.node("ReduceSum", name, [counted, axes], gone)
    number = drawing.node("Cast", name, [count], {"to": TensorProto.INT64})
    return [
        drawing.node("Gather", name, [drawing.initializer(f"{name}/{wanted}", constants), number])
        for wanted, constants in zip(lines._fields[1:], lines[1:], strict=True)
    ]


def _pooled(drawing: Drawing, bound: Bound, steps: str) -> str:
    """Steps of the output. A mean is rounded down; a window over the end has the last row or column twice."""
    name, pool = bound.operator.name, bound.text("pool")
    stride, size = STRIDES[pool], 4 if "_4_" in pool else 2
    if pool == "bypass":
        return steps
    if pool in PICKED:
        height, width = (length * stride for length in bound.output.shape[2:])
        spans = (0, PICKED[pool]), (height, width), (2, 3), (stride, stride)
        slices = [drawing.longs(f"{name}/slice", values) for values in spans]
        return drawing.node("Slice", name, [steps, *slices])
    attributes = {"kernel_shape": (size, size), "strides": (stride, stride)}
    if stride == 1:
        ends = drawing.longs(f"{name}/ends", (0, 0, 0, 0, 0, 0, 1, 1))
        steps = drawing.node("Pad", name, [steps, ends], {"mode": "edge"})
    if pool.startswith("max"):
        return drawing.node("MaxPool", name, [steps], attributes)
    return drawing.node("Floor", name, [drawing.node("AveragePool", name, [steps], attributes)])
