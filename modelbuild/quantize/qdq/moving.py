"""How operators are drawn that move integers or take the largest: as they are, without a factor."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.binding import Bound
from modelbuild.quantize.qdq.drawing import Drawer, Drawing


def _integers(drawing: Drawing, bound: Bound) -> str:
    return drawing.integers[bound.operator.inputs[0]]


def _max_pool(drawing: Drawing, bound: Bound) -> None:
    """In doubles: of MaxPool behind DequantizeLinear, onnxruntime 1.31 makes a graph that it refuses."""
    name, zero = bound.operator.name, bound.output.zero_point
    attributes = {"kernel_shape": bound.numbers("kernel")}
    attributes |= {key: bound.numbers(key) for key in ("strides", "pads", "dilations")}
    cells = drawing.doubles(drawing.steps(bound.inputs[0], zero))
    largest = drawing.node("MaxPool", name, [cells], attributes)
    steps = drawing.clipped(name, largest, bound.number("low") - zero, bound.number("high") - zero)
    drawing.quantize(bound.output, steps, zero)


def _reduce_max(drawing: Drawing, bound: Bound) -> None:
    name, zero = bound.operator.name, bound.output.zero_point
    inputs = [
        drawing.steps(bound.inputs[0], zero),
        drawing.longs(f"{name}/axes", bound.numbers("axes")),
    ]
    attributes = {"keepdims": bound.number("keepdims")}
    drawing.quantize(bound.output, drawing.node("ReduceMax", name, inputs, attributes), zero)


def _pad(drawing: Drawing, bound: Bound) -> None:
    name, zero = bound.operator.name, bound.output.zero_point
    inputs = [
        drawing.steps(bound.inputs[0], zero),
        drawing.longs(f"{name}/pads", bound.numbers("before") + bound.numbers("after")),
        drawing.number(bound.number("value") - zero, np.float32),
    ]
    drawing.quantize(bound.output, drawing.node("Pad", name, inputs), zero)


def _concat(drawing: Drawing, bound: Bound) -> None:
    zeros, multipliers, shifts = (bound.numbers(key) for key in ("input_zeros", "multipliers", "shifts"))
    parts = []
    for x, zero, multiplier, shift in zip(bound.inputs, zeros, multipliers, shifts, strict=True):
        doubles = drawing.doubles(drawing.steps(x, zero))
        parts.append(drawing.rescaled(bound, doubles, np.asarray(np.ldexp(float(multiplier), -shift))))
    steps = drawing.node("Concat", bound.operator.name, parts, {"axis": bound.number("axis")})
    drawing.quantize(bound.output, steps, bound.number("output_zero"))


def _reshape(drawing: Drawing, bound: Bound) -> None:
    name = bound.operator.name
    shape = drawing.longs(f"{name}/shape", bound.numbers("shape"))
    drawing.put(bound.output, drawing.node("Reshape", name, [_integers(drawing, bound), shape]))


def _transpose(drawing: Drawing, bound: Bound) -> None:
    attributes = {"perm": bound.numbers("perm")}
    inputs = [_integers(drawing, bound)]
    drawing.put(bound.output, drawing.node("Transpose", bound.operator.name, inputs, attributes))


def _slice(drawing: Drawing, bound: Bound) -> None:
    name, axes = bound.operator.name, range(len(bound.inputs[0].shape))
    lists = [bound.numbers("starts"), bound.numbers("ends"), list(axes), bound.numbers("steps")]
    inputs = [_integers(drawing, bound), *(drawing.longs(f"{name}/slice", values) for values in lists)]
    drawing.put(bound.output, drawing.node("Slice", name, inputs))


def _gather(drawing: Drawing, bound: Bound) -> None:
    inputs = [_integers(drawing, bound), drawing.constant(bound.operator.constants["indices"])]
    attributes = {"axis": bound.number("axis")}
    drawing.put(bound.output, drawing.node("Gather", bound.operator.name, inputs, attributes))


DRAWERS: dict[str, Drawer] = {
    "max_pool": _max_pool,
    "reduce_max": _reduce_max,
    "concat": _concat,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "pad": _pad,
    "gather": _gather,
}
