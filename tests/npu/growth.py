"""A random fixed model that grows layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Integers, QuantizedTensor
from modelbuild.arithmetic.windows import extents
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
        self.inputs = ["input"]
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
        self.inputs = [name for name in self.inputs if name in used or name == "input"]
        outputs = tuple(op.outputs[0] for op in self.operators if op.outputs[0] not in used)
        if self.dice.whole(0, 1):
            extra = self.operators[self.dice.whole(0, len(self.operators) - 1)].outputs[0]
            outputs = tuple(dict.fromkeys((*outputs, extra)))
        return FixedModel(
            "grown",
            "multiplier_shift@1",
            "test",
            tuple(self.inputs),
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


def _window(growth: Growth) -> tuple[QuantizedTensor, dict[str, Any], tuple[int, ...]] | None:
    """A picture, a window on it that may leave rows out, and the picture's size behind it."""
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 4:
        return None
    kernel = tuple(dice.whole(1, min(3, extent)) for extent in x.shape[2:])
    pads = tuple(dice.whole(0, (kernel[side % 2] - 1) // 2) for side in range(4))
    strides = dice.whole(1, 3), dice.whole(1, 3)
    size = extents(x.shape, kernel, strides, (1, 1), pads)
    return x, {"kernel": kernel, "strides": strides, "pads": pads}, tuple(size)


def _max_pool(growth: Growth) -> None:
    found = _window(growth)
    if found:
        x, window, size = found
        y = growth.put(growth.name(), (*x.shape[:2], *size), x)
        growth.grow("max_pool", [x.name], y, window | {"dilations": (1, 1), "low": y.low, "high": y.high})


def _average_pool(growth: Growth) -> None:
    found = _window(growth)
    if found:
        x, window, size = found
        y = growth.put(growth.name(), (*x.shape[:2], *size))
        counts = np.arange(1, math.prod(window["kernel"]) + 1, dtype=np.int32)
        rows = growth.dice.rows(len(counts), len(counts) << x.bits, y)
        p = window | {"count_include_pad": growth.dice.whole(0, 1), "input_zero": x.zero_point}
        growth.grow("average_pool", [x.name], y, p | growth.dice.bounds(y), {"count": counts, **rows})


def _dilated(growth: Growth) -> None:
    """A convolution with dilation, uneven strides and pads, and groups of several channels."""
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 4 or min(x.shape[2:]) < 2:
        return
    dilations, strides = (dice.whole(1, 2), dice.whole(1, 2)), (dice.whole(1, 3), dice.whole(1, 3))
    pads = tuple(dice.whole(0, 3) for _ in range(4))
    size = extents(x.shape, (2, 2), strides, dilations, pads)
    if min(size) < 1:
        return
    group = math.gcd(x.shape[1], 2)
    outputs = group * dice.whole(1, 3)
    y = growth.put(growth.name(), (x.shape[0], outputs, *size))
    constants = weights(dice, (outputs, x.shape[1] // group, 2, 2))
    largest = math.prod(constants["weight"].shape[1:]) * (1 << (2 * dice.bits)) // 32
    p = {"strides": strides, "pads": pads, "dilations": dilations, "group": group}
    p |= {"input_zero": x.zero_point, **dice.bounds(y)}
    growth.grow("conv", [x.name], y, p, constants | dice.rows(outputs, largest, y))


def _spread(growth: Growth) -> None:
    """What `quantize` makes of a ConvTranspose: zeros between the cells, then a convolution."""
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 4 or math.prod(x.shape) > 600:
        return
    (n, c, h, w), (down, right) = x.shape, (dice.whole(1, 2), dice.whole(2, 3))
    name = growth.name()
    steps: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
        ("reshape", (n, c, h, 1, w, 1), {"shape": (n, c, h, 1, w, 1)}),
        (
            "pad",
            (n, c, h, down, w, right),
            {"before": (0,) * 6, "after": (0, 0, 0, down - 1, 0, right - 1), "value": x.zero_point},
        ),
        ("reshape", (n, c, h * down, w * right), {"shape": (n, c, h * down, w * right)}),
    ]
    ends = (n, c, (h - 1) * down + 1, (w - 1) * right + 1)
    steps.append(("slice", ends, {"starts": (0,) * 4, "ends": ends, "steps": (1,) * 4}))
    source = x.name
    for kind, shape, parameters in steps:
        made = growth.put(f"{name}{kind}{len(growth.operators)}", shape, x)
        growth.grow(kind, [source], made, parameters)
        source = made.name
    pads = tuple(dice.whole(0, 2) for _ in range(4))
    size = extents(ends, (2, 2), (1, 1), (1, 1), pads)
    if min(size) < 1:
        return
    outputs = dice.whole(1, 4)
    y = growth.put(f"{name}convolved", (n, outputs, *size))
    constants = weights(dice, (outputs, c, 2, 2))
    largest = c * 4 * (1 << (2 * dice.bits)) // 32
    p = {"strides": (1, 1), "pads": pads, "dilations": (1, 1), "group": 1}
    p |= {"input_zero": x.zero_point, **dice.bounds(y)}
    growth.grow("conv", [source], y, p, constants | dice.rows(outputs, largest, y))


def _stretch(growth: Growth) -> None:
    """A bilinear Resize."""
    x, dice = growth.pick(), growth.dice
    if len(x.shape) != 4 or math.prod(x.shape) > 600:
        return
    size = tuple(max(1, extent + dice.whole(-2, extent)) for extent in x.shape[2:])
    y = growth.put(growth.name(), (*x.shape[:2], *size), x)
    constants: dict[str, Integers] = {}
    for role, before, after in (("row", x.shape[2], size[0]), ("column", x.shape[3], size[1])):
        low = np.arange(after, dtype=np.int32) * before // after
        part = dice.rng.integers(0, (1 << 11) + 1, after).astype(np.int32)
        constants[f"{role}s"] = np.stack([low, np.minimum(low + 1, before - 1)], axis=1)
        constants[f"{role}_weights"] = np.stack([(1 << 11) - part, part], axis=1)
    p = {"output_zero": y.zero_point, "low": y.low, "high": y.high}
    growth.grow("resize_linear", [x.name], y, p, constants)


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
    p = {"input_zero": x.zero_point, **_scaled(growth, 1 << dice.bits, y)}
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
    _function,
    _max_pool,
    _average_pool,
    _dilated,
    _spread,
    _stretch,
    _cut,
    _lay_side_by_side,
    _second_input,
    _bend,
)
