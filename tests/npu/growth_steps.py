"""All steps in which a random model grows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from modelbuild.arithmetic.fixed_model import Integers
from tests.arithmetic.dice import weights
from tests.arithmetic.random_models import BUILDERS
from tests.npu.growth import Growth, scaled
from tests.npu.window_steps import average_pool, conv, dilated, max_pool, spread, stretch


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
        **scaled(growth, 1 << (2 * dice.bits - 1), y),
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
    growth.grow("reduce_sum", [x.name], y, p | scaled(growth, math.prod(x.shape[2:]) << x.bits, y))


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
    growth.grow("multiply", [a.name, b.name], y, p | scaled(growth, 1 << (2 * a.bits - 1), y))


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


def _cut(growth: Growth) -> None:
    """Some neighbouring cells along one axis: now and then a stretch of memory."""
    x, dice = growth.pick(), growth.dice
    axis = dice.whole(0, len(x.shape) - 1)
    first = dice.whole(0, x.shape[axis] - 1)
    last = dice.whole(first, x.shape[axis] - 1)
    starts = tuple(first if index == axis else 0 for index in range(len(x.shape)))
    ends = tuple(last + 1 if index == axis else extent for index, extent in enumerate(x.shape))
    y = growth.put(growth.name(), tuple(end - start for start, end in zip(starts, ends, strict=True)), x)
    growth.grow("slice", [x.name], y, {"starts": starts, "ends": ends, "steps": (1,) * len(starts)})


def _lay_side_by_side(growth: Growth) -> None:
    """A concat along channels that changes no integer, of two or three."""
    a, dice = growth.pick(), growth.dice
    if len(a.shape) < 2:
        return
    parts = [
        name
        for name in growth.latest
        if growth.tensors[name].shape[:1] + growth.tensors[name].shape[2:] == a.shape[:1] + a.shape[2:]
        and growth.tensors[name].dtype == a.dtype
    ]
    names = [a.name, *(parts[dice.whole(0, len(parts) - 1)] for _ in range(dice.whole(1, 2)))]
    channels = sum(growth.tensors[name].shape[1] for name in names)
    y = growth.put(growth.name(), (a.shape[0], channels, *a.shape[2:]), a)
    count = len(names)
    p = {"axis": 1, "input_zeros": (y.zero_point,) * count, "multipliers": (1,) * count}
    p |= {"shifts": (0,) * count, "output_zero": y.zero_point, "low": y.low, "high": y.high}
    growth.grow("concat", names, y, p)


def _second_input(growth: Growth) -> None:
    if len(growth.inputs) == 1:
        name = "other"
        growth.put(name, growth.tensors["input"].shape)
        growth.inputs.append(name)
        growth.latest.append(name)


def _bend(growth: Growth) -> None:
    """A PReLU or a rescale."""
    x, dice = growth.pick(), growth.dice
    if len(x.shape) < 2:
        return
    y = growth.put(growth.name(), x.shape)
    p = {"input_zero": x.zero_point, **scaled(growth, 1 << dice.bits, y)}
    if dice.whole(0, 1):
        growth.grow("rescale", [x.name], y, p)
        return
    pairs = [dice.scaling(1 << dice.bits, y) for _ in range(x.shape[1])]
    constants: dict[str, Integers] = {
        "negative_multiplier": np.array([pair[0] for pair in pairs], np.int32),
        "negative_shift": np.array([pair[1] for pair in pairs], np.int32),
    }
    growth.grow("prelu", [x.name], y, p, constants)


STEPS: tuple[Callable[[Growth], None], ...] = (
    conv,
    conv,
    conv,
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
    _function,
    max_pool,
    average_pool,
    dilated,
    spread,
    stretch,
    _cut,
    _lay_side_by_side,
    _second_input,
    _bend,
)
