"""Conv, ConvTranspose, Gemm, MatMul, and what amounts to a depthwise 1x1 convolution."""

from __future__ import annotations

import math

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.quantize.assembly import Assembly, operand_bits
from modelbuild.quantize.emission import Emission
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.windows import explicit_pads, pair

POINT: dict[str, Parameter] = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1)}


def emit_conv(
    assembly: Assembly, found: Weighted, x: QuantizedTensor, y: QuantizedTensor, window: dict[str, Parameter]
) -> None:
    """One `conv`."""
    parameters = {**window, "group": found.group, "input_zero": x.zero_point, **assembly.bounds(y)}
    assembly.emit("conv", (x,), y, parameters, assembly.row_constants(found, x, y))


def emit_affine(assembly: Assembly) -> bool:
    """A per-channel factor and offset on [N, C, H, W] as a depthwise convolution, if the node is one."""
    found = assembly.weighted()
    if found is None:
        return False
    name = next(name for name in assembly.node.inputs if name not in assembly.graph.constants)
    emit_conv(assembly, found, assembly.tensor(name), assembly.output(), POINT)
    return True


def conv(assembly: Assembly) -> None:
    """Conv on [N, C, H, W], or on [N, C, L] by way of [N, C, 1, L]."""
    node = assembly.node
    found = assembly.weighted()
    if found is None:
        assembly.fail("its weights and biases must be constants")
    x, y = assembly.tensor(node.inputs[0]), assembly.output()
    spatial = len(x.shape) - 2
    if spatial not in (1, 2):
        assembly.fail(f"it has {spatial} spatial axes; one or two can be built")
    window: dict[str, Parameter] = {
        "strides": pair(node.ints("strides", [1] * spatial), 1),
        "dilations": pair(node.ints("dilations", [1] * spatial), 1),
        "pads": explicit_pads(assembly.node, x.shape[2:], found.weight.shape[2:], y.shape[2:]),
    }
    if spatial == 2:
        emit_conv(assembly, found, x, y, window)
        return
    weight = found.weight[:, :, None, :]
    flat = Weighted(found.name, weight, found.bias, found.group)
    wide = as_picture(assembly, x, "wide")
    out = assembly.between(y, (y.shape[0], y.shape[1], 1, y.shape[2]), "row")
    emit_conv(assembly, flat, wide, out, window)
    assembly.emit("reshape", (out,), y, {"shape": y.shape})


def as_picture(assembly: Assembly, x: QuantizedTensor, role: str) -> QuantizedTensor:
    """[N, C, L] as [N, C, 1, L]."""
    made = assembly.between(x, (x.shape[0], x.shape[1], 1, x.shape[2]), role)
    assembly.emit("reshape", (x,), made, {"shape": made.shape})
    return made


def conv_transpose(assembly: Assembly) -> None:
    """Zeros put between the cells (reshape, pad, reshape, slice), then an ordinary convolution."""
    node = assembly.node
    found = assembly.weighted()
    x, y = assembly.tensor(node.inputs[0]), assembly.output()
    if found is None or len(x.shape) != 4:
        assembly.fail("its weights must be constants and its input [N, C, H, W]")
    window = transposed_window(assembly, found)
    emit_conv(assembly, found, zero_stuffed(assembly, x, node.ints("strides", [1, 1])), y, window)


def transposed_window(assembly: Emission, found: Weighted) -> dict[str, Parameter]:
    """The window of the ordinary convolution behind the zeros."""
    node, dilations = assembly.node, assembly.node.ints("dilations", [1, 1])
    if (
        node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
        or "output_shape" in node.attributes
    ):
        assembly.fail("auto_pad and output_shape of a ConvTranspose are not explicit")
    pads = node.ints("pads", [0, 0, 0, 0])
    extra = node.ints("output_padding", [0, 0])
    kernel = [d * (size - 1) for d, size in zip(dilations, found.weight.shape[2:], strict=True)]
    before = [kernel[axis] - pads[axis] for axis in range(2)]
    after = [kernel[axis] - pads[axis + 2] + extra[axis] for axis in range(2)]
    if min(before + after) < 0:
        assembly.fail("it pads by more than its kernel reaches")
    return {
        "strides": (1, 1),
        "pads": (before[0], before[1], after[0], after[1]),
        "dilations": pair(dilations, 1),
    }


def zero_stuffed(assembly: Emission, x: QuantizedTensor, strides: list[int]) -> QuantizedTensor:
    """`stride - 1` cells of value 0 between neighbours, on both spatial axes."""
    if strides == [1, 1]:
        return x
    n, c, h, w = x.shape
    down, right = strides
    open_ = assembly.between(x, (n, c, h, 1, w, 1), "open")
    assembly.emit("reshape", (x,), open_, {"shape": open_.shape})
    padded = assembly.between(x, (n, c, h, down, w, right), "stuffed")
    after = (0, 0, 0, down - 1, 0, right - 1)
    parameters: dict[str, Parameter] = {"before": (0,) * 6, "after": after, "value": x.zero_point}
    assembly.emit("pad", (open_,), padded, parameters)
    whole = assembly.between(x, (n, c, h * down, w * right), "spread")
    assembly.emit("reshape", (padded,), whole, {"shape": whole.shape})
    ends = (n, c, (h - 1) * down + 1, (w - 1) * right + 1)
    trimmed = assembly.between(x, ends, "trimmed")
    cut: dict[str, Parameter] = {"starts": (0,) * 4, "ends": ends, "steps": (1,) * 4}
    assembly.emit("slice", (whole,), trimmed, cut)
    return trimmed


def gemm(assembly: Assembly) -> None:
    """A constant matrix, whatever Gemm makes of it."""
    found = assembly.weighted()
    if found is None:
        assembly.fail("its matrix and bias must be constants and its input must not be transposed")
    emit_gemm(assembly, found, assembly.tensor(assembly.node.inputs[0]), assembly.output())


def emit_gemm(assembly: Assembly, found: Weighted, x: QuantizedTensor, y: QuantizedTensor) -> None:
    """One `gemm` on [N, K]; more axes are folded into N and unfolded after."""
    outputs, depth = found.weight.shape
    rows = math.prod(x.shape) // depth
    flat, out = x, y
    if len(x.shape) != 2:
        flat = assembly.between(x, (rows, depth), "rows")
        assembly.emit("reshape", (x,), flat, {"shape": flat.shape})
        out = assembly.between(y, (rows, outputs), "products")
    parameters = {"input_zero": x.zero_point, **assembly.bounds(y)}
    assembly.emit("gemm", (flat,), out, parameters, assembly.row_constants(found, x, y))
    if out is not y:
        assembly.emit("reshape", (out,), y, {"shape": y.shape})


def matmul(assembly: Assembly) -> None:
    """A constant matrix on the right as `gemm`, two activations as `matmul`."""
    node = assembly.node
    found = assembly.weighted()
    if found is not None:
        emit_gemm(assembly, found, assembly.tensor(node.inputs[0]), assembly.output())
        return
    a, b = (assembly.tensor(name) for name in node.inputs)
    if min(len(a.shape), len(b.shape)) < 2:
        assembly.fail("a vector without a second axis cannot be multiplied")
    y = assembly.output()
    multiplier, shift = assembly.decompose(a.scale * b.scale / y.scale, operand_bits(a, b))
    parameters: dict[str, Parameter] = {"input_zero": a.zero_point, "other_zero": b.zero_point}
    parameters |= {"multiplier": multiplier, "shift": shift, **assembly.bounds(y)}
    assembly.emit("matmul", (a, b), y, parameters)


def batch_normalization(assembly: Assembly) -> None:
    """What no convolution could take up."""
    if not emit_affine(assembly):
        assembly.fail("its statistics must be constants and its input [N, C, H, W]")


BUILDERS = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": matmul,
    "BatchNormalization": batch_normalization,
}
