"""Random fixed models of one operator each, for every kind; shared by the tests of kernels and simulator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.arithmetic.windows import extents
from tests.arithmetic.dice import Dice, magnitude, one, picture, weights, windowed

Draw = Callable[[Dice], FixedModel]


def conv(dice: Dice) -> FixedModel:
    group = dice.whole(1, 3)
    per_group, outputs = dice.whole(1, 3), dice.whole(1, 2) * group
    kernel = dice.whole(1, 3), dice.whole(1, 3)
    p = windowed(dice, kernel)
    x = picture(dice, per_group * group, kernel)
    size = extents(x.shape, kernel, p["strides"], p["dilations"], p["pads"])
    y = dice.tensor("y", (x.shape[0], outputs, *size))
    constants = weights(dice, (outputs, per_group, *kernel))
    largest = math.prod(constants["weight"].shape[1:]) * magnitude(x) * (1 << dice.bits) // 8
    p |= {"group": group, "input_zero": x.zero_point, **dice.bounds(y)}
    return one("conv", [x, y], p, constants | dice.rows(outputs, largest, y))


def gemm(dice: Dice) -> FixedModel:
    x = dice.tensor("x", (dice.whole(1, 3), dice.whole(1, 40)))
    outputs = dice.whole(1, 5)
    y = dice.tensor("y", (x.shape[0], outputs))
    constants = weights(dice, (outputs, x.shape[1]))
    largest = x.shape[1] * magnitude(x) * (1 << dice.bits) // 8
    p = {"input_zero": x.zero_point, **dice.bounds(y)}
    return one("gemm", [x, y], p, constants | dice.rows(outputs, largest, y))


def pair(dice: Dice, a: QuantizedTensor, b: QuantizedTensor) -> dict[str, Any]:
    return {"input_zero": a.zero_point, "other_zero": b.zero_point}


def matmul(dice: Dice) -> FixedModel:
    rows, depth, columns = dice.whole(1, 4), dice.whole(1, 9), dice.whole(1, 4)
    lead = (dice.whole(1, 3),)
    a = dice.tensor("a", (*lead, rows, depth))
    b = dice.tensor("b", (depth, columns) if dice.whole(0, 1) else (*lead, depth, columns))
    y = dice.tensor("y", (*lead, rows, columns))
    multiplier, shift = dice.scaling(depth * magnitude(a) * magnitude(b) // 4, y)
    return one(
        "matmul", [a, b, y], {**pair(dice, a, b), "multiplier": multiplier, "shift": shift, **dice.bounds(y)}
    )


def broadcastable(dice: Dice) -> tuple[QuantizedTensor, QuantizedTensor, QuantizedTensor]:
    shape = (dice.whole(1, 3), dice.whole(1, 3), dice.whole(1, 4))
    other = tuple(size if dice.whole(0, 2) else 1 for size in shape)[dice.whole(0, 2) :]
    a, b = dice.tensor("a", shape), dice.tensor("b", other)
    return (a, b, dice.tensor("y", shape)) if dice.whole(0, 1) else (b, a, dice.tensor("y", shape))


def renamed(tensor: QuantizedTensor, name: str) -> QuantizedTensor:
    return QuantizedTensor(name, tensor.shape, tensor.bits, tensor.signed, tensor.scale, tensor.zero_point)


def add(dice: Dice) -> FixedModel:
    a, b, y = broadcastable(dice)
    a, b = renamed(a, "a"), renamed(b, "b")
    first, shift = dice.scaling(magnitude(a), y)
    second = dice.whole(1 - dice.multiplier_limit, dice.multiplier_limit - 1)
    p = {**pair(dice, a, b), "input_multiplier": first, "other_multiplier": second, "shift": shift}
    return one("add", [a, b, y], {**p, **dice.bounds(y)})


def multiply(dice: Dice) -> FixedModel:
    a, b, y = broadcastable(dice)
    a, b = renamed(a, "a"), renamed(b, "b")
    multiplier, shift = dice.scaling(magnitude(a) * magnitude(b), y)
    p = {**pair(dice, a, b), "multiplier": multiplier, "shift": shift}
    return one("multiply", [a, b, y], {**p, **dice.bounds(y)})


def some_shape(dice: Dice, least: int = 1) -> tuple[int, ...]:
    return tuple(dice.whole(1, 4) for _ in range(dice.whole(least, 4)))


def rescale(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice))
    y = dice.tensor("y", x.shape)
    multiplier, shift = dice.scaling(magnitude(x), y)
    p = {"input_zero": x.zero_point, "multiplier": multiplier, "shift": shift}
    return one("rescale", [x, y], {**p, **dice.bounds(y)})


def prelu(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice, 2))
    y = dice.tensor("y", x.shape)
    multiplier, shift = dice.scaling(magnitude(x), y)
    rows = dice.rows(x.shape[1], magnitude(x) * 4, y)
    p = {"input_zero": x.zero_point, "multiplier": multiplier, "shift": shift, **dice.bounds(y)}
    constants = {"negative_multiplier": rows["multiplier"], "negative_shift": rows["shift"]}
    return one("prelu", [x, y], p, constants)


def table(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice), 8)
    y = dice.tensor("y", x.shape)
    entries = dice.rng.integers(y.low, y.high + 1, 256).astype(y.dtype)
    return one("table", [x, y], {"input_low": x.low}, {"table": entries})


def curve(dice: Dice) -> FixedModel:
    """Smooth now and then, and anything that 32 bits hold otherwise."""
    x = dice.tensor("x", some_shape(dice), 16)
    y = dice.tensor("y", x.shape, 8 * dice.whole(1, 2))
    bits = dice.whole(4, 14)
    start = x.low - dice.whole(0, (1 << bits) - 1)
    count = ((x.high - start) >> bits) + 1
    reach = 1 << dice.whole(12, 31)
    constants = {
        role: dice.rng.integers(-reach, reach, count).astype(np.int32) for role in ("value", "slope", "bend")
    }
    return one("curve", [x, y], {"start": start, "segment_bits": bits, **dice.bounds(y)}, constants)


def max_pool(dice: Dice) -> FixedModel:
    kernel = dice.whole(1, 3), dice.whole(1, 3)
    p = windowed(dice, kernel) | {"kernel": kernel}
    x = picture(dice, dice.whole(1, 3), kernel)
    size = extents(x.shape, kernel, p["strides"], p["dilations"], p["pads"])
    y = QuantizedTensor("y", (*x.shape[:2], *size), x.bits, x.signed, x.scale, x.zero_point)
    bounds = dice.bounds(y)
    return one("max_pool", [x, y], p | {"low": bounds["low"], "high": bounds["high"]})


def average_pool(dice: Dice) -> FixedModel:
    kernel = dice.whole(1, 3), dice.whole(1, 3)
    p = windowed(dice, kernel, dilated=False) | {"kernel": kernel, "count_include_pad": dice.whole(0, 1)}
    x = picture(dice, dice.whole(1, 3), kernel)
    size = extents(x.shape, kernel, p["strides"], (1, 1), p["pads"])
    y = dice.tensor("y", (*x.shape[:2], *size))
    counts = np.arange(1, kernel[0] * kernel[1] + 1, dtype=np.int32)
    rows = dice.rows(len(counts), len(counts) * magnitude(x), y)
    p |= {"input_zero": x.zero_point, **dice.bounds(y)}
    return one("average_pool", [x, y], p, {"count": counts, **rows})


def reduction(dice: Dice, x: QuantizedTensor) -> tuple[dict[str, Any], tuple[int, ...]]:
    axes = tuple(a for a in range(len(x.shape)) if dice.whole(0, 1)) or (len(x.shape) - 1,)
    keep = dice.whole(0, 1)
    kept = tuple(1 if a in axes else size for a, size in enumerate(x.shape))
    shape = kept if keep else tuple(size for a, size in enumerate(x.shape) if a not in axes)
    return {"axes": axes, "keepdims": keep}, shape


def reduce_sum(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice, 2))
    p, shape = reduction(dice, x)
    y = dice.tensor("y", shape)
    multiplier, shift = dice.scaling(math.prod(x.shape) * magnitude(x), y)
    p |= {"input_zero": x.zero_point, "multiplier": multiplier, "shift": shift}
    return one("reduce_sum", [x, y], {**p, **dice.bounds(y)})


def like(x: QuantizedTensor, shape: tuple[int, ...]) -> QuantizedTensor:
    return QuantizedTensor("y", shape, x.bits, x.signed, x.scale, x.zero_point)


def reduce_max(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice, 2))
    p, shape = reduction(dice, x)
    return one("reduce_max", [x, like(x, shape)], p)


def softmax(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice))
    y = dice.tensor("y", x.shape, 8 * dice.whole(1, 2))
    if x.bits == 8:
        step = float(dice.rng.uniform(0.001, 0.3))
        entries = [round(2**23 * math.exp(-step * d)) for d in range(256)]
    else:
        step = float(dice.rng.uniform(1e-5, 1e-2))
        entries = [round(2**30 * math.exp(-step * d)) for d in (*range(0, 1 << 16, 256), *range(256))]
    one_step = dice.whole(100, 256) if y.bits == 8 else dice.whole(30000, 65535)
    p = {"axis": dice.whole(0, len(x.shape) - 1), "one": one_step, **dice.bounds(y)}
    return one("softmax", [x, y], p, {"table": np.array(entries, np.int32)})


def concat(dice: Dice) -> FixedModel:
    shape = some_shape(dice)
    axis = dice.whole(0, len(shape) - 1)
    sizes = [dice.whole(1, 3) for _ in range(dice.whole(1, 3))]
    inputs = [dice.tensor(f"x{i}", (*shape[:axis], size, *shape[axis + 1 :])) for i, size in enumerate(sizes)]
    y = dice.tensor("y", (*shape[:axis], sum(sizes), *shape[axis + 1 :]))
    pairs = [(1, 0) if dice.whole(0, 1) else dice.scaling(magnitude(x), y) for x in inputs]
    p = {
        "axis": axis,
        "input_zeros": tuple(x.zero_point for x in inputs),
        "multipliers": tuple(m for m, _ in pairs),
        "shifts": tuple(s for _, s in pairs),
    }
    return one("concat", [*inputs, y], {**p, **dice.bounds(y)})


def reshape(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice))
    shape = tuple(dice.rng.permutation(x.shape).tolist()) if dice.whole(0, 1) else (math.prod(x.shape),)
    return one("reshape", [x, like(x, shape)], {"shape": shape})


def transpose(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice))
    perm = tuple(int(axis) for axis in dice.rng.permutation(len(x.shape)))
    return one("transpose", [x, like(x, tuple(x.shape[axis] for axis in perm))], {"perm": perm})


def slice_axes(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice))
    starts = tuple(dice.whole(0, size - 1) for size in x.shape)
    ends = tuple(dice.whole(start + 1, size) for start, size in zip(starts, x.shape, strict=True))
    steps = tuple(dice.whole(1, 3) for _ in x.shape)
    shape = tuple(len(range(*part)) for part in zip(starts, ends, steps, strict=True))
    return one("slice", [x, like(x, shape)], {"starts": starts, "ends": ends, "steps": steps})


def pad(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice))
    before = tuple(dice.whole(0, 2) for _ in x.shape)
    after = tuple(dice.whole(0, 2) for _ in x.shape)
    shape = tuple(sum(sizes) for sizes in zip(before, x.shape, after, strict=True))
    p = {"before": before, "after": after, "value": dice.whole(x.low, x.high)}
    return one("pad", [x, like(x, shape)], p)


def gather(dice: Dice) -> FixedModel:
    x = dice.tensor("x", some_shape(dice))
    axis = dice.whole(0, len(x.shape) - 1)
    indices = dice.rng.integers(0, x.shape[axis], dice.whole(1, 6)).astype(np.int32)
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    return one("gather", [x, like(x, shape)], {"axis": axis}, {"indices": indices})


def resize_linear(dice: Dice) -> FixedModel:
    x = dice.tensor("x", (dice.whole(1, 2), dice.whole(1, 2), dice.whole(1, 4), dice.whole(1, 4)))
    sizes = dice.whole(1, 6), dice.whole(1, 6)
    constants = {}
    for axis, (places, shares) in enumerate((("rows", "row_weights"), ("columns", "column_weights"))):
        constants[places] = dice.rng.integers(0, x.shape[2 + axis], (sizes[axis], 2)).astype(np.int32)
        first = dice.rng.integers(0, 2049, sizes[axis])
        constants[shares] = np.stack([first, 2048 - first], axis=1).astype(np.int32)
    y = like(x, (*x.shape[:2], *sizes))
    return one("resize_linear", [x, y], dice.bounds(y), constants)


BUILDERS: dict[str, Draw] = {
    "conv": conv,
    "gemm": gemm,
    "matmul": matmul,
    "add": add,
    "multiply": multiply,
    "rescale": rescale,
    "prelu": prelu,
    "table": table,
    "curve": curve,
    "max_pool": max_pool,
    "average_pool": average_pool,
    "reduce_sum": reduce_sum,
    "reduce_max": reduce_max,
    "softmax": softmax,
    "concat": concat,
    "reshape": reshape,
    "transpose": transpose,
    "slice": slice_axes,
    "pad": pad,
    "gather": gather,
    "resize_linear": resize_linear,
}
