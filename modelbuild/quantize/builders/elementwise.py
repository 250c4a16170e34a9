"""Add, Sub, Mul, Div, Relu, Clip, PRelu."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.arithmetic.number import decompose_together
from modelbuild.errors import ModelbuildError
from modelbuild.quantize.assembly import Assembly, operand_bits
from modelbuild.quantize.builders.products import emit_affine


def add(assembly: Assembly) -> None:
    """a + b."""
    _sum(assembly, 1.0)


def subtract(assembly: Assembly) -> None:
    """a - b."""
    _sum(assembly, -1.0)


def _sum(assembly: Assembly, sign: float) -> None:
    if emit_affine(assembly):
        return
    a, b = _operands(assembly)
    y = assembly.output()
    factors = (a.scale / y.scale, sign * b.scale / y.scale)
    try:
        (first, second), shift = decompose_together(factors, operand_bits(a, b))
    except ModelbuildError as error:
        assembly.unfit(str(error))
    parameters: dict[str, Parameter] = {
        "input_zero": a.zero_point,
        "other_zero": b.zero_point,
        "input_multiplier": first,
        "other_multiplier": second,
        "shift": shift,
    }
    assembly.emit("add", (a, b), y, {**parameters, **assembly.bounds(y)})


def multiply(assembly: Assembly) -> None:
    """a * b: by one constant number a rescaling, by one a channel a convolution, else tensor by tensor."""
    for index in (1, 0):
        factor = _scalar(assembly, index)
        if factor is not None:
            assembly.rescale(assembly.tensor(assembly.node.inputs[1 - index]), assembly.output(), factor)
            return
    if emit_affine(assembly):
        return
    a, b = _operands(assembly)
    y = assembly.output()
    multiplier, shift = assembly.decompose(a.scale * b.scale / y.scale, operand_bits(a, b))
    parameters: dict[str, Parameter] = {
        "input_zero": a.zero_point,
        "other_zero": b.zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }
    assembly.emit("multiply", (a, b), y, {**parameters, **assembly.bounds(y)})


def divide(assembly: Assembly) -> None:
    """a / constant."""
    divisor = assembly.graph.constants.get(assembly.node.inputs[1])
    if divisor is None or not np.all(divisor != 0):
        assembly.fail("it can only divide by a constant other than 0")
    factor = _scalar(assembly, 1)
    if factor is not None:
        assembly.rescale(assembly.tensor(assembly.node.inputs[0]), assembly.output(), 1.0 / factor)
    elif not emit_affine(assembly):
        assembly.fail("it can only divide by one number, or by one number a channel of [N, C, H, W]")


def bounded(assembly: Assembly) -> None:
    """A Relu or Clip that melted into nothing: a rescaling with bounds."""
    if assembly.node.op == "Clip":
        for name in assembly.node.inputs[1:]:
            if name and name not in assembly.graph.constants:
                assembly.fail("its bounds must be constants")
    assembly.rescale(assembly.tensor(assembly.node.inputs[0]), assembly.output())


def prelu(assembly: Assembly) -> None:
    """One slope a channel (or one for all) below 0."""
    slope = assembly.graph.constants.get(assembly.node.inputs[1])
    x, y = assembly.tensor(assembly.node.inputs[0]), assembly.output()
    if slope is None or len(x.shape) < 2:
        assembly.fail("its slopes must be constant and its input must have a channel axis")
    channels = x.shape[1]
    shape = (1,) * (len(x.shape) - slope.ndim) + slope.shape
    if shape not in ((1, channels, *([1] * (len(x.shape) - 2))), (1,) * len(x.shape)):
        assembly.fail("it needs one slope a channel, or one for all")
    slopes = np.broadcast_to(slope.astype(np.float64).reshape(-1), (channels,))
    bits = operand_bits(x)
    multiplier, shift = assembly.decompose(x.scale / y.scale, bits)
    pairs = [assembly.decompose(float(value) * x.scale / y.scale, bits) for value in slopes]
    parameters: dict[str, Parameter] = {"input_zero": x.zero_point, "multiplier": multiplier, "shift": shift}
    constants = {
        "negative_multiplier": np.array([pair[0] for pair in pairs], np.int32),
        "negative_shift": np.array([pair[1] for pair in pairs], np.int32),
    }
    assembly.emit("prelu", (x,), y, {**parameters, **assembly.bounds(y)}, constants)


def _operands(assembly: Assembly) -> tuple[QuantizedTensor, QuantizedTensor]:
    a, b = (assembly.tensor(name) for name in assembly.node.inputs)
    return a, b


def _scalar(assembly: Assembly, index: int) -> float | None:
    """The constant input `index` if it is one number that does not widen the other's shape."""
    value = assembly.graph.constants.get(assembly.node.inputs[index])
    if value is None or value.size != 1:
        return None
    other = assembly.graph.shapes.get(assembly.node.inputs[1 - index], ())
    number = float(value.reshape(-1)[0])
    return number if value.ndim <= len(other) and np.isfinite(number) else None


BUILDERS = {
    "Add": add,
    "Sub": subtract,
    "Mul": multiply,
    "Div": divide,
    "Relu": bounded,
    "Clip": bounded,
    "PRelu": prelu,
}
