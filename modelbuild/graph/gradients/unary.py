"""Gradients of functions of one number: the gradient times the function's slope."""

from __future__ import annotations

import math
from collections.abc import Callable

from modelbuild.graph.gradients.step import Rule, Rules, Step, attribute

Slope = Callable[[Step], str]


def _by(slope: Slope) -> Rule:
    def rule(step: Step) -> None:
        step.give(0, step.emit("Mul", step.gradient, slope(step)))

    return rule


def _sigmoid(step: Step) -> str:
    return step.emit("Mul", step.y, step.emit("Sub", step.number(1.0), step.y))


def _tanh(step: Step) -> str:
    return step.emit("Sub", step.number(1.0), step.emit("Mul", step.y, step.y))


def _erf(step: Step) -> str:
    bell = step.emit("Exp", step.emit("Neg", step.emit("Mul", step.x, step.x)))
    return step.emit("Mul", step.number(2 / math.sqrt(math.pi)), bell)


def _softsign(step: Step) -> str:
    reach = step.emit("Add", step.number(1.0), step.emit("Abs", step.x))
    return step.emit("Reciprocal", step.emit("Mul", reach, reach))


def _reciprocal(step: Step) -> str:
    return step.emit("Neg", step.emit("Mul", step.y, step.y))


def _above(step: Step, above: str, below: str) -> str:
    """One number where x > 0, another elsewhere."""
    return step.emit("Where", step.emit("Greater", step.x, step.number(0.0)), above, below)


def _leaky(step: Step) -> str:
    return _above(step, step.number(1.0), step.number(float(attribute(step, "alpha", 0.01))))


def _elu(step: Step) -> str:
    alpha = step.number(float(attribute(step, "alpha", 1.0)))
    return _above(step, step.number(1.0), step.emit("Add", step.y, alpha))


def _selu(step: Step) -> str:
    # ONNX's defaults of Selu
    alpha = float(attribute(step, "alpha", 1.67326319217681884765625))
    gamma = float(attribute(step, "gamma", 1.05070102214813232421875))
    below = step.emit("Add", step.y, step.number(alpha * gamma))
    return _above(step, step.number(gamma), below)


def _inside(step: Step, value: str, low: str | None, high: str | None) -> str | None:
    """Whether `value` lies between two bounds; None where it has none."""
    parts = [step.emit("Greater", value, low)] if low else []
    parts += [step.emit("Less", value, high)] if high else []
    return step.emit("And", *parts) if len(parts) == 2 else next(iter(parts), None)


def _masked(step: Step, inside: str | None) -> str:
    gradient = step.gradient
    return gradient if inside is None else step.emit("Where", inside, gradient, step.number(0.0))


def _relu(step: Step) -> None:
    step.give(0, _masked(step, _inside(step, step.y, step.number(0.0), None)))


def _clip(step: Step) -> None:
    step.only(0)
    step.give(0, _masked(step, _inside(step, step.y, step.optional(1), step.optional(2))))


def _hard_sigmoid(step: Step) -> None:
    inside = _inside(step, step.y, step.number(0.0), step.number(1.0))
    slope = step.number(float(attribute(step, "alpha", 0.2)))
    step.give(0, step.emit("Mul", slope, _masked(step, inside)))


def _hard_swish(step: Step) -> str:
    gate = step.emit("HardSigmoid", step.x, alpha=1 / 6, beta=0.5)
    inside = step.emit("Less", step.emit("Abs", step.x), step.number(3.0))
    part = step.emit("Where", inside, step.emit("Mul", step.x, step.number(1 / 6)), step.number(0.0))
    return step.emit("Add", gate, part)


def _gelu(step: Step) -> str:
    """x Φ(x): Φ(x) + x φ(x). With u = √(2/π) (x + 0.044715 x³): (1 + tanh u + x (1 - tanh² u) u') / 2."""
    one, half = step.number(1.0), step.number(0.5)
    square = step.emit("Mul", step.x, step.x)
    if attribute(step, "approximate", "none") == "tanh":
        root = math.sqrt(2 / math.pi)
        cubic = step.emit("Mul", square, step.number(0.044715 * root))
        tanh = step.emit("Tanh", step.emit("Mul", step.x, step.emit("Add", cubic, step.number(root))))
        slope = step.emit("Add", step.emit("Mul", cubic, step.number(3.0)), step.number(root))
        steep = step.emit("Mul", step.emit("Sub", one, step.emit("Mul", tanh, tanh)), slope)
        twice = step.emit("Add", step.emit("Add", one, tanh), step.emit("Mul", step.x, steep))
        return step.emit("Mul", half, twice)
    share = step.emit("Add", one, step.emit("Erf", step.emit("Mul", step.x, step.number(math.sqrt(0.5)))))
    bell = step.emit("Exp", step.emit("Mul", square, step.number(-0.5)))
    bell = step.emit("Mul", bell, step.number(1 / math.sqrt(2 * math.pi)))
    return step.emit("Add", step.emit("Mul", half, share), step.emit("Mul", step.x, bell))


_SLOPES: dict[str, Slope] = {
    "Abs": lambda step: step.emit("Sign", step.x),
    "Elu": _elu,
    "Erf": _erf,
    "Exp": lambda step: step.y,
    "Gelu": _gelu,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky,
    "Log": lambda step: step.emit("Reciprocal", step.x),
    "Neg": lambda step: step.number(-1.0),
    "Reciprocal": _reciprocal,
    "Selu": _selu,
    "Sigmoid": _sigmoid,
    "Softplus": lambda step: step.emit("Sigmoid", step.x),
    "Softsign": _softsign,
    "Sqrt": lambda step: step.emit("Div", step.number(0.5), step.y),
    "Tanh": _tanh,
}
RULES: Rules = {
    **{op: _by(slope) for op, slope in _SLOPES.items()},
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "Relu": _relu,
}
