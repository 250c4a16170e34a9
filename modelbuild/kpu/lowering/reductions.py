"""Reductions on the CPU: of floats, and means of bytes by their exact sum."""

from __future__ import annotations

import math
from collections.abc import Callable

from modelbuild.arithmetic.fixed_model import Parameter
from modelbuild.kpu.lowering.limits import line
from modelbuild.kpu.lowering.lowering import BYTES, FLOATS, Lowering
from modelbuild.kpu.lowering.moving import Moves, Wanted
from modelbuild.kpu.lowering.sheet import Sheet
from modelbuild.kpu.lowering.wanted import reads_bytes_alone
from modelbuild.quantize.builders.reduction import reduced_axes

_EXACT = (1 << 24) // 255  # bytes whose sum float32 holds


def global_pool(op: str) -> Callable[[Lowering, Wanted], None]:
    """Of the whole map."""

    def build(lowering: Lowering, wanted: Wanted) -> None:
        axes = tuple(range(2, len(lowering.graph.shapes[lowering.node.inputs[0]])))
        if op == "mean":
            mean(lowering, wanted, axes, True)
        else:
            _reduced(lowering, op, axes, True)

    return build


def _reduces_nothing(lowering: Lowering) -> bool:
    """Whether a reduction has no axes, and says that it then does nothing."""
    node = lowering.node
    given = lowering.graph.constants.get(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] else None
    none = given is None or not given.size
    return bool(node.int("noop_with_empty_axes", 0)) and none and not node.ints("axes", [])


def reduction(op: str) -> Callable[[Lowering, Wanted], None]:
    """Along axes."""

    def build(lowering: Lowering, wanted: Wanted) -> None:
        if _reduces_nothing(lowering):
            Sheet(lowering).add(lowering.tensor(lowering.node.inputs[0]), 0.0, lowering.output())
            return
        axes = reduced_axes(
            Moves(lowering, BYTES if lowering.has(lowering.node.inputs[0], BYTES) else FLOATS)
        )
        keep = bool(lowering.node.int("keepdims", 1))
        if op == "mean":
            mean(lowering, wanted, axes, keep)
        else:
            _reduced(lowering, op, axes, keep)

    return build


def _reduced(lowering: Lowering, op: str, axes: tuple[int, ...], keep: bool) -> None:
    x, y = lowering.tensor(lowering.node.inputs[0]), lowering.output()
    parameters: dict[str, Parameter] = {"op": op, "axes": axes, "keep": int(keep)}
    bounded = any(abs(end) != math.inf for end in lowering.step.bounds)
    out = lowering.float_between(y.shape, "reduced") if bounded else y
    lowering.emit("reduce", (x,), out, parameters)
    if bounded:
        Sheet(lowering).add(out, 0.0, y)


def mean(lowering: Lowering, wanted: Wanted, axes: tuple[int, ...], keep: bool) -> None:
    """Of bytes by their exact sum, which no order of additions changes; of floats as the runtime adds."""
    name, out = lowering.node.inputs[0], lowering.step.outputs[0]
    shape = lowering.graph.shapes[name]
    count = math.prod(shape[axis] for axis in axes)
    if lowering.has(name, FLOATS) or not lowering.has(name, BYTES) or count > _EXACT:
        _reduced(lowering, "mean", axes, keep)
        return
    x = lowering.bytes(name)
    raw = lowering.float_between(shape, "codes")
    lowering.emit("dequantize", (x,), raw, {}, line(1.0, 0.0))
    total = lowering.float_between(lowering.graph.shapes[out], "sum")
    parameters: dict[str, Parameter] = {"op": "sum", "axes": axes, "keep": int(keep)}
    lowering.emit("reduce", (raw,), total, parameters)
    unbounded = all(abs(end) == math.inf for end in lowering.step.bounds)
    if out in wanted and unbounded and reads_bytes_alone(lowering, out):
        y = lowering.new_bytes(out)
        factor = x.scale / (count * y.scale)
        lowering.emit(
            "quantize",
            (total,),
            y,
            {},
            line(factor, y.zero_point - x.zero_point * (x.scale / y.scale)),
        )
        return
    sheet = Sheet(lowering)
    shifted = sheet.sub(total, float(x.zero_point * count)) if x.zero_point else total
    sheet.mul(shifted, x.scale / count, lowering.output())


def softmax(lowering: Lowering, _: Wanted) -> None:
    """Along one axis."""
    x, y = lowering.tensor(lowering.node.inputs[0]), lowering.output()
    axis = lowering.node.int("axis", -1) % len(x.shape)
    lowering.emit("softmax", (x,), y, {"axis": axis})


def norm(op: str) -> Callable[[Lowering, Wanted], None]:
    """ReduceL1, ReduceL2, ReduceSumSquare: a sum of what is made of each value."""

    def build(lowering: Lowering, _: Wanted) -> None:
        sheet, x, y = Sheet(lowering), lowering.tensor(lowering.node.inputs[0]), lowering.output()
        axes, keep = reduced_axes(Moves(lowering, FLOATS)), lowering.node.int("keepdims", 1)
        each = sheet.abs(x) if op == "l1" else sheet.square(x)
        out = lowering.float_between(y.shape, "sum") if op == "l2" else y
        lowering.emit("reduce", (each,), out, {"op": "sum", "axes": axes, "keep": keep})
        if op == "l2":
            sheet.sqrt(out, y)

    return build


BUILDERS: dict[str, Callable[[Lowering, Wanted], None]] = {
    "GlobalAveragePool": global_pool("mean"),
    "GlobalMaxPool": global_pool("max"),
    "ReduceMean": reduction("mean"),
    "ReduceSum": reduction("sum"),
    "ReduceMax": reduction("max"),
    "ReduceMin": reduction("min"),
    "ReduceL1": norm("l1"),
    "ReduceL2": norm("l2"),
    "ReduceSumSquare": norm("square"),
    "Softmax": softmax,
}
