"""A random fixed model that grows layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Integers, QuantizedTensor
from tests.arithmetic.dice import Dice, weights
from tests.arithmetic.random_models import BUILDERS


class Growth:
    """A model that grows layer by layer from one picture."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.tensors: dict[str, QuantizedTensor] = {}
        self.constants: dict[str, Integers] = {}
        self.operators: list[FixedOperator] = []
        size = dice.whole(5, 12), dice.whole(5, 12)
        self.put("input", (dice.whole(1, 2), dice.whole(1, 6), *size))
        self.latest = ["input"]

    def put(self, name: str, shape: tuple[int, ...], like: QuantizedTensor | None = None) -> QuantizedTensor:
        fresh = self.dice.tensor(name, shape)
        tensor = replace(like, name=name, shape=shape) if like else fresh
        self.tensors[name] = tensor
        return tensor

    def grow(
        self,
        kind: str,
        inputs: list[str],
        output: QuantizedTensor,
        parameters: dict[str, Any],
        constants: dict[str, Integers] | None = None,
    ) -> None:
        name = f"layer{len(self.operators)}"
        named = {role: f"{name}/{role}" for role in constants or {}}
        self.constants |= {named[role]: values for role, values in (constants or {}).items()}
        self.operators.append(FixedOperator(kind, name, tuple(inputs), (output.name,), parameters, named))
        self.latest.append(output.name)

    def pick(self) -> QuantizedTensor:
        recent = self.latest[-3:]
        return self.tensors[recent[self.dice.whole(0, len(recent) - 1)]]

    def name(self) -> str:
        return f"t{len(self.operators)}"

    def finish(self) -> FixedModel:
        used = {name for operator in self.operators for name in operator.inputs}
        outputs = tuple(op.outputs[0] for op in self.operators if op.outputs[0] not in used)
        if self.dice.whole(0, 1):
            extra = self.operators[self.dice.whole(0, len(self.operators) - 1)].outputs[0]
            outputs = tuple(dict.fromkeys((*outputs, extra)))
        return FixedModel(
            "grown",
            "multiplier_shift@1",
            "test",
            ("input",),
            outputs,
            self.tensors,
            self.constants,
            tuple(self.operators),
        )


def _scaled(growth: Growth, largest: int, y: QuantizedTensor) -> dict[str, Any]:
    multiplier, shift = growth.dice.scaling(largest, y)
    return {"multiplier": multiplier, "shift": shift, **growth.dice.bounds(y)}


def _conv(growth: Growth) -> None:
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 4:
        return
    group = (dice.whole(0, 1) and x.shape[1]) or 1
    kernel = (3, 3) if min(x.shape[2:]) > 2 and dice.whole(0, 2) else (1, 1)
    stride = dice.whole(1, 2)
    outputs = group if group > 1 else dice.whole(1, 9)
    pad = kernel[0] // 2
    size = tuple((extent + 2 * pad - kernel[0]) // stride + 1 for extent in x.shape[2:])
    y = growth.put(growth.name(), (x.shape[0], outputs, *size))
    constants = weights(dice, (outputs, x.shape[1] // group, *kernel))
    largest = math.prod(constants["weight"].shape[1:]) * (1 << (2 * dice.bits)) // 32
    p = {"strides": (stride, stride), "pads": (pad,) * 4, "dilations": (1, 1), "group": group}
    p |= {"input_zero": x.zero_point, **dice.bounds(y)}
    growth.grow("conv", [x.name], y, p, constants | dice.rows(outputs, largest, y))


def _residual(growth: Growth) -> None:
    a, dice = growth.pick(), growth.dice
    same = [name for name in growth.latest if growth.tensors[name].shape == a.shape]
    b = growth.tensors[same[dice.whole(0, len(same) - 1)]]
    y = growth.put(growth.name(), a.shape)
    first, shift = dice.scaling(1 << dice.bits, y)
    p = {"input_zero": a.zero_point, "other_zero": b.zero_point, "input_multiplier": first}
    p |= {"other_multiplier": -first, "shift": shift, **dice.bounds(y)}
    growth.grow("add", [a.name, b.name], y, p)


def _scale_by_constant(growth: Growth) -> None:
    a, dice = growth.pick(), growth.dice
    shape = tuple(extent if dice.whole(0, 1) else 1 for extent in a.shape)
    b = growth.put(f"constant{len(growth.operators)}", shape)
    growth.constants[b.name] = dice.rng.integers(b.low, b.high + 1, shape).astype(b.dtype)
    y = growth.put(growth.name(), a.shape)
    p = {
        "input_zero": a.zero_point,
        "other_zero": b.zero_point,
        **_scaled(growth, 1 << (2 * dice.bits - 1), y),
    }
    growth.grow("multiply", [a.name, b.name], y, p)


def _join(growth: Growth) -> None:
    a, dice = growth.pick(), growth.dice
    b = growth.tensors[growth.latest[dice.whole(0, len(growth.latest) - 1)]]
    if len(a.shape) != len(b.shape) or a.shape[:1] + a.shape[2:] != b.shape[:1] + b.shape[2:]:
        return
    shape = (a.shape[0], a.shape[1] + b.shape[1], *a.shape[2:])
    y = growth.put(growth.name(), shape, a)
    other = dice.scaling(1 << dice.bits, y)
    p = {"axis": 1, "input_zeros": (a.zero_point, b.zero_point), "multipliers": (1, other[0])}
    p |= {"shifts": (0, other[1]), "output_zero": y.zero_point, "low": y.low, "high": y.high}
    growth.grow("concat", [a.name, b.name], y, p)


def _mean(growth: Growth) -> None:
    x = growth.pick()
    if len(x.shape) != 4:
        return
    y = growth.put(growth.name(), (*x.shape[:2], 1, 1))
    p = {"axes": (2, 3), "keepdims": 1, "input_zero": x.zero_point}
    growth.grow("reduce_sum", [x.name], y, p | _scaled(growth, math.prod(x.shape[2:]) << x.bits, y))


def _gate(growth: Growth) -> None:
    """What squeeze-and-excitation does: every channel by a factor of its own."""
    gates = [name for name in growth.latest if growth.tensors[name].shape[2:] == (1, 1)]
    if not gates:
        return
    b = growth.tensors[gates[-1]]
    wide = [name for name in growth.latest if growth.tensors[name].shape[:2] == b.shape[:2]]
    a = growth.tensors[wide[growth.dice.whole(0, len(wide) - 1)]]
    if len(a.shape) != 4:
        return
    y = growth.put(growth.name(), a.shape)
    p = {"input_zero": a.zero_point, "other_zero": b.zero_point}
    growth.grow("multiply", [a.name, b.name], y, p | _scaled(growth, 1 << (2 * a.bits - 1), y))


def _flatten(growth: Growth) -> None:
    x = growth.pick()
    shape = (x.shape[0], math.prod(x.shape[1:]))
    growth.grow("reshape", [x.name], growth.put(growth.name(), shape, x), {"shape": shape})


def _dense(growth: Growth) -> None:
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 2:
        return
    outputs = dice.whole(1, 12)
    y = growth.put(growth.name(), (x.shape[0], outputs))
    constants = weights(dice, (outputs, x.shape[1]))
    largest = x.shape[1] * (1 << (2 * dice.bits)) // 32
    p = {"input_zero": x.zero_point, **dice.bounds(y)}
    growth.grow("gemm", [x.name], y, p, constants | dice.rows(outputs, largest, y))


def _turn(growth: Growth) -> None:
    x = growth.pick()
    perm = tuple(int(axis) for axis in growth.dice.rng.permutation(len(x.shape)))
    y = growth.put(growth.name(), tuple(x.shape[axis] for axis in perm), x)
    growth.grow("transpose", [x.name], y, {"perm": perm})


def _double(growth: Growth) -> None:
    x, dice = growth.pick(), growth.dice
    axis = dice.whole(0, len(x.shape) - 1)
    if math.prod(x.shape) > 2000:
        return
    indices = np.repeat(np.arange(x.shape[axis], dtype=np.int32), 2)
    y = growth.put(growth.name(), (*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :]), x)
    growth.grow("gather", [x.name], y, {"axis": axis}, {"indices": indices})


def _function(growth: Growth) -> None:
    """A table or a curve, by the bits of what it reads, or a softmax."""
    x, dice = growth.pick(), growth.dice
    kind = ("softmax", "table" if x.bits == 8 else "curve")[dice.whole(0, 1)]
    made = BUILDERS[kind](dice)
    y = growth.put(growth.name(), x.shape)
    (operator,) = made.operators
    p = {**operator.parameters, **(dice.bounds(y) if "low" in operator.parameters else {})}
    constants = {role: made.constants[name] for role, name in operator.constants.items()}
    if kind == "softmax":
        p["axis"] = len(x.shape) - 1
    if kind == "table":
        p["input_low"] = x.low
        constants["table"] = dice.rng.integers(y.low, y.high + 1, 256).astype(y.dtype)
    if kind == "curve":
        bits = dice.whole(9, 14)  # few segments, so that a small SRAM holds them
        p |= {"segment_bits": bits, "start": x.low}
        count = (1 << 16) >> bits
        constants = {role: np.resize(values, count) for role, values in constants.items()}
    growth.grow(kind, [x.name], y, p, constants)


STEPS: tuple[Callable[[Growth], None], ...] = (
    _conv,
    _conv,
    _conv,
    _residual,
    _scale_by_constant,
    _join,
    _mean,
    _gate,
    _flatten,
    _dense,
    _turn,
    _double,
    _function,
)
