"""Arithmetic of floats on the CPU, value by value: every function as the runtime's own few operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.kpu.lowering import curves
from modelbuild.kpu.lowering.functions import number
from modelbuild.kpu.lowering.limits import LARGEST, limits
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.sheet import Binary, Formula, Sheet, Unary

Tensor = QuantizedTensor
_ROOT_TWO_OVER_PI = 0.7978845608028654
_ROOT_HALF = 0.7071067811865476


def _leaky(alpha: float) -> Formula:
    end: Binary = "max" if alpha <= 1 else "min"
    return lambda s, x, y: s.binary(end, x, s.mul(x, alpha), y)


def _elu(alpha: float, gamma: float) -> Formula:
    def run(s: Sheet, x: Tensor, y: Tensor) -> None:
        low = s.mul(s.sub(s.exp(s.min(x, 0.0)), 1.0), alpha * gamma)
        s.add(s.mul(s.max(x, 0.0), gamma) if gamma != 1.0 else s.max(x, 0.0), low, y)

    return run


def _gate(s: Sheet, x: Tensor, alpha: float, beta: float, y: Tensor | None = None) -> Tensor:
    line = s.add(s.mul(x, alpha), beta)
    out = y or s.lowering.float_between(x.shape, "gate")
    s.lowering.emit("binary", (line, s.lowering.scalar(0.0, line)), out, {"op": "max"}, limits(0.0, 1.0))
    return out


def _gelu(approximate: bool) -> Formula:
    def run(s: Sheet, x: Tensor, y: Tensor) -> None:
        if approximate:
            cube = s.mul(s.mul(s.square(x), x), 0.044715)
            inner = s.tanh(s.mul(s.add(x, cube), _ROOT_TWO_OVER_PI))
        else:
            inner = s.erf(s.mul(x, _ROOT_HALF))
        s.mul(s.mul(s.add(inner, 1.0), x), 0.5, y)

    return run


def _softplus(s: Sheet, x: Tensor, y: Tensor) -> None:
    s.add(s.log(s.add(s.exp(s.neg(s.abs(x))), 1.0)), s.max(x, 0.0), y)


def _formula(lowering: Lowering) -> Formula:
    node = lowering.node
    numbers = {key: number(node, key, default) for key, default in DEFAULTS.get(node.op, {}).items()}
    return FORMULAS[node.op](numbers, node.attributes.get("approximate") == "tanh")


_PLAIN: dict[str, Unary] = {
    "Abs": "abs", "Acos": "acos", "Asin": "asin", "Ceil": "ceil", "Cos": "cos", "Erf": "erf", "Exp": "exp",
    "Floor": "floor", "Log": "log", "Neg": "neg", "Round": "round", "Rsqrt": "rsqrt", "Sign": "sign",
    "Sin": "sin", "Sqrt": "sqrt", "Tanh": "tanh",
}  # fmt: skip


def _plain(name: Unary) -> Callable[[dict[str, float], bool], Formula]:
    return lambda *_: lambda s, x, y: s.unary(name, x, y)


DEFAULTS = {  # of the numbers that a function has
    "Celu": {"alpha": 1.0},
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LeakyRelu": {"alpha": 0.01},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    "Shrink": {"lambd": 0.5, "bias": 0.0},
    "ThresholdedRelu": {"alpha": 1.0},
}
FORMULAS: dict[str, Callable[[dict[str, float], bool], Formula]] = {
    "Acosh": lambda *_: curves.acosh,
    "Asinh": lambda *_: curves.asinh,
    "Atan": lambda *_: curves.atan,
    "Atanh": lambda *_: curves.atanh,
    "Celu": lambda n, _: curves.celu(n["alpha"]),
    "Cosh": lambda *_: curves.cosh,
    "Elu": lambda n, _: _elu(n["alpha"], 1.0),
    "Gelu": lambda _, approximate: _gelu(approximate),
    "HardSigmoid": lambda n, _: lambda s, x, y: _gate(s, x, n["alpha"], n["beta"], y),
    "HardSwish": lambda *_: lambda s, x, y: s.mul(x, _gate(s, x, 1 / 6, 0.5), y),
    "LeakyRelu": lambda n, _: _leaky(n["alpha"]),
    "Reciprocal": lambda *_: lambda s, x, y: s.div(1.0, x, y),
    "Selu": lambda n, _: _elu(n["alpha"], n["gamma"]),
    "Shrink": lambda n, _: curves.shrink(n["lambd"], n["bias"]),
    "Sinh": lambda *_: curves.sinh,
    "Sigmoid": lambda *_: lambda s, x, y: s.sigmoid(x, y),
    "Softplus": lambda *_: _softplus,
    "Softsign": lambda *_: lambda s, x, y: s.div(x, s.add(s.abs(x), 1.0), y),
    "Tan": lambda *_: curves.tan,
    "ThresholdedRelu": lambda n, _: curves.thresholded(n["alpha"]),
    **{op: _plain(name) for op, name in _PLAIN.items()},
}


def function(lowering: Lowering) -> None:
    """A function of one tensor."""
    formula = _formula(lowering)
    formula(Sheet(lowering), lowering.tensor(lowering.node.inputs[0]), lowering.output())


def bounded(lowering: Lowering) -> None:
    """Relu and Clip that melted into nothing."""
    node = lowering.node
    x = lowering.tensor(node.inputs[0])
    if any(name and name not in lowering.graph.constants for name in node.inputs[1:]):
        _between(lowering, x)
        return
    low, _ = lowering.step.bounds
    Sheet(lowering).max(x, max(low, -LARGEST), lowering.output())


def _between(lowering: Lowering, x: Tensor) -> None:
    """Clip by bounds that are computed."""
    sheet, (low, high) = Sheet(lowering), (*lowering.node.inputs[1:], "", "")[:2]
    raised = sheet.max(x, lowering.tensor(low), None if high else lowering.output()) if low else x
    if high:
        sheet.min(raised, lowering.tensor(high), lowering.output())


def _pairwise(op: Binary) -> Callable[[Lowering], None]:
    def build(lowering: Lowering) -> None:
        if not _affine(lowering):
            tensors = [lowering.tensor(name) for name in lowering.node.inputs]
            _folded(lowering, op, tensors)

    return build


def _folded(lowering: Lowering, op: Binary, tensors: Sequence[Tensor]) -> None:
    sheet, y = Sheet(lowering), lowering.output()
    if len(tensors) == 1:
        sheet.mul(tensors[0], 1.0, y)
        return
    total = tensors[0]
    for place, each in enumerate(tensors[1:], 2):
        total = sheet.binary(op, total, each, y if place == len(tensors) else None)


def _affine(lowering: Lowering) -> bool:
    """A factor and an offset a channel, whose tensors the record may have scaled; whether it is one."""
    found = lowering.weighted() if lowering.assembly is not None else None
    if found is None:
        return False
    name = next(name for name in lowering.node.inputs if name not in lowering.graph.constants)
    affine(lowering, name, found.weight.reshape(-1), found.bias)
    return True


def affine(lowering: Lowering, name: str, factor: np.ndarray, offset: np.ndarray) -> None:
    """y = factor x + offset, one number a channel of [N, C, H, W]."""
    sheet, x, y = Sheet(lowering), lowering.tensor(name), lowering.output()
    plain, shape = not offset.any(), (1, len(factor), 1, 1)
    constants = [
        lowering.constant(
            lowering.parts.names.fresh(f"{lowering.step.outputs[0]}/{role}"),
            values.astype(np.float32).reshape(shape),
        )
        for role, values, used in (
            ("factor", factor, plain or bool((factor != 1).any())),
            ("offset", offset, not plain),
        )
        if used
    ]
    if plain:
        sheet.mul(x, constants[0], y)
        return
    scaled = sheet.mul(x, constants[0]) if len(constants) == 2 else x
    sheet.add(scaled, constants[-1], y)


def batch_normalization(lowering: Lowering) -> None:
    """What no convolution could take up."""
    found = lowering.weighted()
    if found is None:
        lowering.fail("its statistics must be constants and its input [N, C, H, W]")
    affine(lowering, lowering.node.inputs[0], found.weight.reshape(-1), found.bias)


def power(lowering: Lowering) -> None:
    """x to a power; squares and roots are exact."""
    exponent = lowering.graph.constants.get(lowering.node.inputs[1])
    x, sheet = lowering.tensor(lowering.node.inputs[0]), Sheet(lowering)
    known: dict[float | None, Unary] = {2.0: "square", 0.5: "sqrt"}
    only = None if exponent is None or exponent.size != 1 else float(exponent.reshape(-1)[0])
    if only in known and lowering.graph.shapes[lowering.step.outputs[0]] == x.shape:
        sheet.unary(known[only], x, lowering.output())
    else:
        sheet.pow(x, lowering.tensor(lowering.node.inputs[1]), lowering.output())


def prelu(lowering: Lowering) -> None:
    """A slope below 0."""
    sheet, x = Sheet(lowering), lowering.tensor(lowering.node.inputs[0])
    low = sheet.mul(sheet.min(x, 0.0), lowering.tensor(lowering.node.inputs[1]))
    sheet.add(sheet.max(x, 0.0), low, lowering.output())


BUILDERS: dict[str, Callable[[Lowering], None]] = {
    **dict.fromkeys(FORMULAS, function),
    "Relu": bounded,
    "Clip": bounded,
    "Add": _pairwise("add"),
    "Sub": _pairwise("sub"),
    "Mul": _pairwise("mul"),
    "Div": _pairwise("div"),
    "Max": _pairwise("max"),
    "Min": _pairwise("min"),
    "Sum": _pairwise("add"),
    "BatchNormalization": batch_normalization,
    "Pow": power,
    "PRelu": prelu,
}
