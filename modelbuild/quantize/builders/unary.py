"""Functions of one number: tables of 256 entries for 8 bits, parabolas for 16."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np

from modelbuild.arithmetic.fixed_model import Parameter
from modelbuild.graph.model import Node
from modelbuild.quantize import tables
from modelbuild.quantize.assembly import Assembly
from modelbuild.quantize.tables import Function


def _number(node: Node, key: str, default: float) -> Decimal:
    value = node.attributes.get(key, default)
    assert isinstance(value, int | float)
    return Decimal(float(value))


def _fixed(function: Function) -> Callable[[Node], Function]:
    return lambda node: function


# ONNX operator -> its function for the node's attributes; defaults are those of the ONNX operator set.
FUNCTIONS: dict[str, Callable[[Node], Function]] = {
    "Sigmoid": _fixed(tables.sigmoid),
    "Tanh": _fixed(tables.tanh),
    "Exp": _fixed(tables.exp),
    "Log": _fixed(tables.log),
    "Sqrt": _fixed(tables.sqrt),
    "Erf": _fixed(tables.erf),
    "Abs": _fixed(abs),
    "Neg": _fixed(lambda x: -x),
    "Softplus": _fixed(tables.softplus),
    "Softsign": _fixed(lambda x: x / (1 + abs(x))),
    "Reciprocal": _fixed(tables.reciprocal),
    "HardSwish": _fixed(tables.hard_swish),
    "HardSigmoid": lambda node: tables.hard_sigmoid(_number(node, "alpha", 0.2), _number(node, "beta", 0.5)),
    "LeakyRelu": lambda node: tables.leaky(_number(node, "alpha", 0.01)),
    "Elu": lambda node: tables.elu(_number(node, "alpha", 1.0)),
    "Selu": lambda node: tables.selu(
        _number(node, "alpha", 1.67326319217681884765625), _number(node, "gamma", 1.05070102214813232421875)
    ),
    "Gelu": lambda node: tables.gelu_tanh if node.attributes.get("approximate") == "tanh" else tables.gelu,
}


def unary(assembly: Assembly) -> None:
    """One function; x * gate(x) is one as well."""
    function = FUNCTIONS[assembly.node.op](assembly.node)
    if len(assembly.step.nodes) > 1:
        function = tables.gated(function)
    emit_table(assembly, function)


def power(assembly: Assembly) -> None:
    """x to a constant power."""
    exponent = assembly.graph.constants.get(assembly.node.inputs[1])
    if exponent is None or exponent.size != 1 or not np.isfinite(exponent).all():
        assembly.fail("its exponent must be one constant number")
    emit_table(assembly, tables.power(Decimal(float(exponent.reshape(-1)[0]))))


def emit_table(assembly: Assembly, function: Function) -> None:
    """y = function(x)."""
    x, y = assembly.for_table(assembly.tensor(assembly.node.inputs[0])), assembly.output()
    if x.bits == 8:
        assembly.emit("table", (x,), y, {"input_low": x.low}, {"table": assembly.table(function, x, y)})
        return
    made = assembly.curve(function, x, y)
    ends: dict[str, Parameter] = {"output_zero": y.zero_point, "low": y.low, "high": y.high}
    rows = {"value": made.value, "slope": made.slope, "bend": made.bend}
    assembly.emit("curve", (x,), y, {"start": made.start, "segment_bits": made.bits, **ends}, rows)


BUILDERS = {**dict.fromkeys(FUNCTIONS, unary), "Pow": power}
