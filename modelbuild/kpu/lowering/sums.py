"""Convolutions, matrix products, windows and reductions of floats on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.kpu.lowering.lowering import BYTES, FLOATS, Lowering, line
from modelbuild.kpu.lowering.moving import Moves, Wanted
from modelbuild.kpu.lowering.sheet import Sheet
from modelbuild.kpu.lowering.wanted import reads_bytes_alone
from modelbuild.quantize.builders.products import transposed_window, zero_stuffed
from modelbuild.quantize.builders.reduction import reduced_axes
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.windows import explicit_pads, pair

Tensor = QuantizedTensor
_EXACT = (1 << 24) // 255  # bytes whose sum float32 holds


def _picture(lowering: Lowering, x: Tensor) -> Tensor:
    """[N, C, L] as [N, C, 1, L]."""
    if len(x.shape) == 4:
        return x
    made = lowering.between(x, (x.shape[0], x.shape[1], 1, x.shape[2]), "wide")
    lowering.emit("reshape", (x,), made, {})
    return made


def _out(lowering: Lowering, y: Tensor) -> Tensor:
    return y if len(y.shape) == 4 else lowering.between(y, (*y.shape[:2], 1, y.shape[2]), "row")


def _close(lowering: Lowering, made: Tensor, y: Tensor) -> None:
    if made is not y:
        lowering.emit("reshape", (made,), y, {})


def conv(lowering: Lowering, _: Wanted) -> None:
    """Conv on [N, C, H, W] or [N, C, L]."""
    node, found = lowering.node, lowering.weighted()
    if found is None:
        lowering.fail("its weights and biases must be constants")
    x, y = lowering.tensor(node.inputs[0]), lowering.output()
    spatial = len(x.shape) - 2
    if spatial not in (1, 2):
        lowering.fail(f"it has {spatial} spatial axes; one or two can be built")
    window: dict[str, Parameter] = {
        "strides": pair(node.ints("strides", [1] * spatial), 1),
        "dilations": pair(node.ints("dilations", [1] * spatial), 1),
        "pads": explicit_pads(node, x.shape[2:], found.weight.shape[2:], y.shape[2:]),
    }
    _emit_conv(lowering, found, x, y, window)


def _emit_conv(
    lowering: Lowering, found: Weighted, x: Tensor, y: Tensor, window: dict[str, Parameter]
) -> None:
    out, weight = _out(lowering, y), found.weight
    constants = {
        "weight": np.asarray(weight if weight.ndim == 4 else weight[:, :, None, :], np.float32),
        "bias": np.asarray(found.bias, np.float32),
        **lowering.bounds(),
    }
    parameters = {**window, "group": found.group}
    lowering.emit("conv", (_picture(lowering, x),), out, parameters, constants)
    _close(lowering, out, y)


def conv_transpose(lowering: Lowering, _: Wanted) -> None:
    """Zeros between the cells, then an ordinary convolution."""
    found, moves = lowering.weighted(), Moves(lowering, FLOATS)
    x = lowering.tensor(lowering.node.inputs[0])
    if found is None or len(x.shape) != 4:
        lowering.fail("its weights must be constants and its input [N, C, H, W]")
    window = transposed_window(moves, found)
    stuffed = zero_stuffed(moves, x, lowering.node.ints("strides", [1, 1]))
    _emit_conv(lowering, found, stuffed, lowering.output(), window)


def matmul(lowering: Lowering, _: Wanted) -> None:
    """Gemm, and MatMul of two tensors or of one and a matrix."""
    node, found, y = lowering.node, lowering.weighted(), lowering.output()
    if found is None and node.op == "Gemm":
        lowering.fail("its matrix and bias must be constants and its input must not be transposed")
    a = lowering.tensor(node.inputs[0])
    if found is None:
        b, bias = lowering.tensor(node.inputs[1]), np.zeros(y.shape[-1] if y.shape else 1, np.float32)
    else:
        name = lowering.parts.names.fresh(f"{node.name}/matrix")
        b = lowering.constant(name, np.ascontiguousarray(found.weight.T, np.float32))
        bias = np.asarray(found.bias, np.float32)
    a, b = _matrices(lowering, a, b)
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    a, b = (_spread(lowering, each, shape[:-2]) for each in (a, b))
    out = y if y.shape == shape else lowering.float_between(shape, "product")
    if len(bias) != shape[-1]:
        bias = np.zeros(shape[-1], np.float32)
    lowering.emit("matmul", (a, b), out, {}, {"bias": bias, **lowering.bounds()})
    _close(lowering, out, y)


def _matrices(lowering: Lowering, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors as a row before, and as a column behind."""
    if len(a.shape) == 1:
        a = _shaped(lowering, a, (1, *a.shape))
    if len(b.shape) == 1:
        b = _shaped(lowering, b, (*b.shape, 1))
    return a, b


def _spread(lowering: Lowering, x: Tensor, lead: tuple[int, ...]) -> Tensor:
    """As many matrices as there are in `lead`, or one."""
    count = math.prod(x.shape[:-2])
    if count in (1, math.prod(lead)):
        return x
    wide = lowering.between(x, (*lead, *x.shape[-2:]), "spread")
    lowering.emit("expand", (x,), wide, {})
    return wide


def _shaped(lowering: Lowering, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    made = lowering.between(x, shape, "matrix")
    lowering.emit("reshape", (x,), made, {})
    return made


def max_pool(lowering: Lowering, _: Wanted) -> None:
    """The largest of each window."""
    if len([name for name in lowering.node.outputs if name]) > 1:
        lowering.fail("its second output, the indices, has no fixed-point form")
    _window(lowering, "max")


def average_pool(lowering: Lowering, wanted: Wanted) -> None:
    """The mean of each window, or of the whole map."""
    node = lowering.node
    shape = lowering.graph.shapes[node.inputs[0]]
    kernel, pads = node.ints("kernel_shape", []), node.ints("pads", [])
    if tuple(kernel) == shape[2:] and not any(pads):
        mean(lowering, wanted, tuple(range(2, len(shape))), True)
        return
    _window(lowering, "mean")


def _window(lowering: Lowering, op: str) -> None:
    node = lowering.node
    x, y = lowering.tensor(node.inputs[0]), lowering.output()
    axes = len(y.shape) - 2
    if axes not in (1, 2):
        lowering.fail(f"it has {axes} spatial axes; one or two can be built")
    kernel = node.ints("kernel_shape", [])
    pads = explicit_pads(node, x.shape[2:], kernel, y.shape[2:])
    x, out = _picture(lowering, x), _out(lowering, y)
    if op == "mean" and any(pads) and node.int("count_include_pad", 0):
        if node.int("ceil_mode", 0):
            lowering.fail("count_include_pad together with ceil_mode has no fixed-point form")
        top, left, bottom, right = pads
        sizes = (x.shape[2] + top + bottom, x.shape[3] + left + right)
        wide = lowering.between(x, (*x.shape[:2], *sizes), "padded")
        ends: dict[str, Parameter] = {"before": (0, 0, top, left), "after": (0, 0, bottom, right)}
        lowering.emit("pad", (x,), wide, {**ends, "mode": "constant"}, {"value": np.zeros((), np.float32)})
        x, pads = wide, (0, 0, 0, 0)
    parameters: dict[str, Parameter] = {
        "op": op,
        "kernel": pair(kernel, 1),
        "strides": pair(node.ints("strides", [1] * axes), 1),
        "pads": pads,
        "dilations": pair(node.ints("dilations", [1] * axes), 1),
    }
    lowering.emit("window", (x,), out, parameters, lowering.bounds())
    _close(lowering, out, y)


def global_pool(op: str) -> Callable[[Lowering, Wanted], None]:
    """Of the whole map."""

    def build(lowering: Lowering, wanted: Wanted) -> None:
        axes = tuple(range(2, len(lowering.graph.shapes[lowering.node.inputs[0]])))
        if op == "mean":
            mean(lowering, wanted, axes, True)
        else:
            _reduced(lowering, op, axes, True)

    return build


def reduces_nothing(lowering: Lowering) -> bool:
    """Whether a reduction has no axes, and says that it then does nothing."""
    node = lowering.node
    given = lowering.graph.constants.get(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] else None
    none = given is None or not given.size
    return bool(node.int("noop_with_empty_axes", 0)) and none and not node.ints("axes", [])


def reduction(op: str) -> Callable[[Lowering, Wanted], None]:
    """Along axes."""

    def build(lowering: Lowering, wanted: Wanted) -> None:
        if reduces_nothing(lowering):
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
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": matmul,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
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
