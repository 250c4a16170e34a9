"""ReduceMean, ReduceSum, ReduceMax, Softmax."""

from __future__ import annotations

import math
from dataclasses import replace

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.quantize.assembly import Assembly, operand_bits
from modelbuild.quantize.emission import Emission


def reduced_axes(assembly: Emission) -> tuple[int, ...]:
    """The reduced axes, from the attribute or the constant input, not negative; all when none are given."""
    node = assembly.node
    rank = len(assembly.tensor(node.inputs[0]).shape)
    axes = node.ints("axes", [])
    if len(node.inputs) > 1 and node.inputs[1]:
        constant = assembly.graph.constants.get(node.inputs[1])
        if constant is None:
            assembly.fail("its axes must be constants")
        axes = [int(axis) for axis in constant.reshape(-1)]
    if not axes:
        if node.int("noop_with_empty_axes", 0):
            assembly.fail("it reduces nothing")
        axes = list(range(rank))
    return tuple(sorted(axis % rank for axis in axes))


def _sum(assembly: Assembly, mean: bool) -> None:
    axes = reduced_axes(assembly)
    x, y = assembly.tensor(assembly.node.inputs[0]), assembly.output()
    count = math.prod(x.shape[axis] for axis in axes) if mean else 1
    multiplier, shift = assembly.decompose(x.scale / (count * y.scale), operand_bits(x))
    parameters: dict[str, Parameter] = {
        "axes": axes,
        "keepdims": assembly.node.int("keepdims", 1),
        "input_zero": x.zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }
    assembly.emit("reduce_sum", (x,), y, {**parameters, **assembly.bounds(y)})


def reduce_mean(assembly: Assembly) -> None:
    """The mean along axes."""
    _sum(assembly, mean=True)


def reduce_sum(assembly: Assembly) -> None:
    """The sum along axes."""
    _sum(assembly, mean=False)


def reduce_max(assembly: Assembly) -> None:
    """The largest along axes, at the input's own scale."""
    axes = reduced_axes(assembly)
    parameters: dict[str, Parameter] = {"axes": axes, "keepdims": assembly.node.int("keepdims", 1)}
    assembly.emit("reduce_max", (assembly.tensor(assembly.node.inputs[0]),), assembly.output(), parameters)


def softmax(assembly: Assembly) -> None:
    """Stored exponentials and one division a cell; and a rescale behind it where the output's step makes no
    16-bit number of 1: a source's own range in more bits, or a given one."""
    x, y = assembly.for_table(assembly.tensor(assembly.node.inputs[0])), assembly.output()
    left = y if 0 < round(1.0 / y.scale) < 1 << 16 else _of_shares(assembly, y)
    axis = assembly.node.int("axis", -1) % len(x.shape)
    parameters: dict[str, Parameter] = {"axis": axis, "one": round(1.0 / left.scale), **assembly.bounds(left)}
    assembly.emit("softmax", (x,), left, parameters, {"table": assembly.exponentials(x)})
    if left is not y:
        assembly.rescale(left, y)


def _of_shares(assembly: Assembly, y: QuantizedTensor) -> QuantizedTensor:
    """A tensor of y's format whose integers span 0 to 1."""
    form = replace(assembly.formats.activation, bits=y.bits, signed=y.signed)
    return assembly.between(form.tensor(y.name, y.shape, *form.grid(0.0, 1.0)), y.shape, "shares")


BUILDERS = {
    "ReduceMean": reduce_mean,
    "ReduceSum": reduce_sum,
    "ReduceMax": reduce_max,
    "Softmax": softmax,
}
