"""Gradients of Add, Sub, Mul, Div, PRelu, Pow, BatchNormalization, with broadcasting."""

from __future__ import annotations

import numpy as np

from modelbuild.graph.gradients.step import NoRule, Rules, Step, attribute


def _add(step: Step) -> None:
    for index in step.wanted:
        step.give_narrowed(index, step.gradient)


def _subtract(step: Step) -> None:
    if 0 in step.wanted:
        step.give_narrowed(0, step.gradient)
    if 1 in step.wanted:
        step.give_narrowed(1, step.emit("Neg", step.gradient))


def _multiply(step: Step) -> None:
    for index in step.wanted:
        step.give_narrowed(index, step.emit("Mul", step.gradient, step.node.inputs[1 - index]))


def _divide(step: Step) -> None:
    share = step.emit("Div", step.gradient, step.node.inputs[1])
    if 0 in step.wanted:
        step.give_narrowed(0, share)
    if 1 in step.wanted:
        step.give_narrowed(1, step.emit("Neg", step.emit("Mul", share, step.y)))


def _power(step: Step) -> None:
    step.only(0)
    exponent = step.known(1)
    if exponent is None or exponent.size != 1 or step.shape(step.x) != step.shape(step.y):
        raise NoRule
    power = float(np.asarray(exponent, np.float64).reshape(-1)[0])
    slope = step.emit("Mul", step.number(power), step.emit("Pow", step.x, step.number(power - 1)))
    step.give(0, step.emit("Mul", step.gradient, slope))


def _prelu(step: Step) -> None:
    above, zero = step.emit("Greater", step.x, step.number(0.0)), step.number(0.0)
    if 0 in step.wanted:
        below = step.emit("Mul", step.gradient, step.node.inputs[1])
        step.give(0, step.emit("Where", above, step.gradient, below))
    if 1 in step.wanted:
        share = step.emit("Where", above, zero, step.emit("Mul", step.gradient, step.x))
        step.give_narrowed(1, share)


def _batch_normalization(step: Step) -> None:
    step.only(0)
    if attribute(step, "training_mode", 0):
        raise NoRule
    _, scale, _, _, variance = step.node.inputs
    epsilon = step.number(float(attribute(step, "epsilon", 1e-5)))
    factor = step.emit("Div", scale, step.emit("Sqrt", step.emit("Add", variance, epsilon)))
    wide = step.reshaped(factor, (-1, *[1] * (len(step.shape(step.x)) - 2)))
    step.give(0, step.emit("Mul", step.gradient, wide))


RULES: Rules = {
    "Add": _add,
    "BatchNormalization": _batch_normalization,
    "Div": _divide,
    "Mul": _multiply,
    "PRelu": _prelu,
    "Pow": _power,
    "Sub": _subtract,
}
