"""The KPU's arithmetic cell by cell in Python's integers, written from the facts about nncase 1.9's kernels;
and float32 one operation after the other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from tests.arithmetic.kpu import cases_of_choices, oracle_moves

Array = NDArray[Any]
f32 = np.float32
POOLS = {  # window, stride, what is taken: the largest, the mean, or a column of the first row
    "bypass": (1, 1, 0),
    "max_2_s2": (2, 2, "max"),
    "mean_2_s2": (2, 2, "mean"),
    "max_4_s4": (4, 4, "max"),
    "mean_4_s4": (4, 4, "mean"),
    "left_top_2_s2": (2, 2, 0),
    "right_top_2_s2": (2, 2, 1),
    "left_top_4_s4": (4, 4, 0),
    "mean_2_s1": (2, 1, "mean"),
    "max_2_s1": (2, 1, "max"),
}


def carry_shift(value: int, shift: int) -> int:
    """nncase's rounding: the floor, then a step for what is above a half, or at a half of an odd floor."""
    if not shift:
        return value
    whole, rest, half = value >> shift, value & ((1 << shift) - 1), 1 << (shift - 1)
    sign = -1 if value < 0 else 1
    if rest > half or (rest == half and whole % 2):
        return whole + sign
    return whole


def segment_of(constants: dict[str, list[int]], value: int) -> int:
    """The byte of a value after batch normalization."""
    for number in reversed(range(16)):
        if value > constants["segment_start"][number]:
            break
    else:
        raise AssertionError(f"{value} lies below all segments")
    product = (value - constants["segment_start"][number]) * constants["segment_multiplier"][number]
    assert -(1 << 63) <= product < 1 << 63
    found = carry_shift(product, constants["segment_shift"][number]) + constants["segment_add"][number]
    return min(max(found, 0), 255)


def kpu_conv(operator: FixedOperator, constants: dict[str, Any], x: Array) -> Array:
    p: Any = operator.parameters
    weight = constants["weight"]
    tables = {role: [int(v) for v in values] for role, values in constants.items() if role != "weight"}
    count, _, height, width = x.shape
    made = np.zeros((count, len(weight), height, width), np.uint8)
    for n, o, row, column in itertools.product(*(range(size) for size in made.shape)):
        total = xs = ws = 0
        for c, i, j in itertools.product(*(range(size) for size in weight.shape[1:])):
            at = row + i - p["kernel"] // 2, column + j - p["kernel"] // 2
            inside = 0 <= at[0] < height and 0 <= at[1] < width
            byte = int(x[n, o if p["depthwise"] else c, at[0], at[1]]) if inside else p["pad_value"]
            total, xs, ws = total + byte * int(weight[o, c, i, j]), xs + byte, ws + int(weight[o, c, i, j])
        total += (p["arg_x"] * xs >> p["shift_x"]) + (p["arg_w"] * ws >> p["shift_w"])
        total += p["arg_add"] * weight.shape[1]
        assert -(1 << 35) <= total < 1 << 35
        value = (total * tables["bn_multiplier"][o] >> tables["bn_shift"][o]) + tables["bn_add"][o]
        assert -(1 << 35) <= value < 1 << 35
        made[n, o, row, column] = segment_of(tables, value)
    return pooled(made, p["pool"])


def pooled(x: Array, pool: str) -> Array:
    size, stride, how = POOLS[pool]
    height, width = x.shape[2] // stride, x.shape[3] // stride
    out = np.zeros((*x.shape[:2], height, width), np.uint8)
    for n, c, row, column in itertools.product(*(range(length) for length in out.shape)):
        rows, columns = (
            [min(place * stride + tap, last - 1) for tap in range(size)]
            for place, last in zip((row, column), x.shape[2:], strict=True)
        )
        cells = [int(x[n, c, i, j]) for i in rows for j in columns]
        if how == "max":
            out[n, c, row, column] = max(cells)
        elif how == "mean":
            out[n, c, row, column] = sum(cells) // len(cells)
        else:
            out[n, c, row, column] = cells[int(how)]
    return out


def window_counts(p: Any, shape: tuple[int, ...], kernel: tuple[int, ...]) -> list[int]:
    """Windows along rows and columns."""
    found = []
    for axis in range(2):
        padded = shape[2 + axis] + p["pads"][axis] + p["pads"][axis + 2]
        found.append((padded - (kernel[axis] - 1) * p["dilations"][axis] - 1) // p["strides"][axis] + 1)
    return found


def conv(operator: FixedOperator, constants: dict[str, Any], x: Array) -> Array:
    p: Any = operator.parameters
    weight, (top, left, *_) = constants["weight"], p["pads"]
    sizes = window_counts(p, x.shape, weight.shape[2:])
    out = np.zeros((len(x), len(weight), *sizes), f32)
    for n, o, row, column in itertools.product(*(range(size) for size in out.shape)):
        total, first = f32(constants["bias"][o]), o // (len(weight) // p["group"]) * weight.shape[1]
        for c, i, j in itertools.product(*(range(size) for size in weight.shape[1:])):
            a = row * p["strides"][0] + i * p["dilations"][0] - top
            b = column * p["strides"][1] + j * p["dilations"][1] - left
            if 0 <= a < x.shape[2] and 0 <= b < x.shape[3]:
                total = f32(total + f32(x[n, first + c, a, b] * weight[o, c, i, j]))
        out[n, o, row, column] = bounded(constants, total)
    return out


def bounded(constants: dict[str, Any], value: Any) -> Any:
    return min(max(value, constants["low"][()]), constants["high"][()])


def window(operator: FixedOperator, constants: dict[str, Any], x: Array) -> Array:
    p: Any = operator.parameters
    (top, left, *_), kernel = p["pads"], p["kernel"]
    sizes = window_counts(p, x.shape, kernel)
    out = np.zeros((*x.shape[:2], *sizes), f32)
    for n, c, row, column in itertools.product(*(range(size) for size in out.shape)):
        cells = []
        for i, j in itertools.product(range(kernel[0]), range(kernel[1])):
            a = row * p["strides"][0] + i * p["dilations"][0] - top
            b = column * p["strides"][1] + j * p["dilations"][1] - left
            if 0 <= a < x.shape[2] and 0 <= b < x.shape[3]:
                cells.append(x[n, c, a, b])
        found = max(cells) if p["op"] == "max" else f32(added(cells) / f32(len(cells)))
        out[n, c, row, column] = bounded(constants, found)
    return out


def added(cells: Any, start: Any = 0.0) -> Any:
    total = f32(start)
    for cell in cells:
        total = f32(total + cell)
    return total


def matmul(operator: FixedOperator, constants: dict[str, Any], a: Array, b: Array) -> Array:
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(item, (*lead, *item.shape[-2:])) for item in (a, b))
    out = np.zeros((*lead, a.shape[-2], b.shape[-1]), f32)
    for *at, row, column in itertools.product(*(range(size) for size in out.shape)):
        left, right = a[(*at, row)], b[(*at, slice(None), column)]
        products = [f32(x * y) for x, y in zip(left, right, strict=True)]
        out[(*at, row, column)] = bounded(constants, added(products, constants["bias"][column]))
    return out


def reduce(operator: FixedOperator, _: dict[str, Any], x: Array) -> Array:
    p: Any = operator.parameters
    groups: dict[tuple[int, ...], list[Any]] = {}
    for at in itertools.product(*(range(size) for size in x.shape)):
        kept = tuple(place for axis, place in enumerate(at) if axis not in p["axes"])
        groups.setdefault(kept, []).append(x[at])
    done: dict[str, Callable[[Any], Any]] = {
        "sum": added,
        "mean": lambda cells: f32(added(cells) / f32(len(cells))),
        "max": max,
        "min": min,
    }
    shape = [1 if axis in p["axes"] else size for axis, size in enumerate(x.shape)]
    if not p["keep"]:
        shape = [size for axis, size in enumerate(x.shape) if axis not in p["axes"]]
    return np.array([done[p["op"]](groups[key]) for key in sorted(groups)], f32).reshape(shape)


def softmax(operator: FixedOperator, _: dict[str, Any], x: Array) -> Array:
    axis: Any = operator.parameters["axis"]
    lines = np.moveaxis(x, axis, -1)
    out = np.zeros(lines.shape, f32)
    for at in itertools.product(*(range(size) for size in lines.shape[:-1])):
        powers = [f32(math.exp(float(f32(cell - max(lines[at]))))) for cell in lines[at]]
        total = added(powers)
        out[at] = [f32(power / total) for power in powers]
    return np.moveaxis(out, -1, axis)


def binary(operator: FixedOperator, constants: dict[str, Any], a: Array, b: Array) -> Array:
    functions: dict[str, Callable[[Any, Any], Any]] = {
        "add": lambda x, y: f32(x + y),
        "sub": lambda x, y: f32(x - y),
        "mul": lambda x, y: f32(x * y),
        "div": lambda x, y: f32(x / y),
        "min": min,
        "max": max,
        "pow": lambda x, y: f32(math.pow(x, y)),
    }
    function = functions[str(operator.parameters["op"])]
    left, right = np.broadcast_arrays(a, b)
    found = [bounded(constants, function(x, y)) for x, y in zip(left.flat, right.flat, strict=True)]
    return np.array(found, f32).reshape(left.shape)


NAN = float("nan")
UNARY: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "acos": lambda x: math.acos(x) if abs(x) <= 1 else NAN,
    "asin": lambda x: math.asin(x) if abs(x) <= 1 else NAN,
    "ceil": math.ceil,
    "cos": math.cos,
    "erf": math.erf,
    "exp": math.exp,
    "floor": math.floor,
    "log": lambda x: math.log(x) if x > 0 else NAN,
    "logical_not": lambda x: not x,
    "neg": lambda x: -x,
    "round": round,
    "rsqrt": lambda x: 1 / float(f32(math.sqrt(x))) if x > 0 else NAN,
    "sign": lambda x: (x > 0) - (x < 0),
    "sin": math.sin,
    "sqrt": lambda x: math.sqrt(x) if x > 0 else NAN,
    "square": lambda x: x * x,
    "tanh": math.tanh,
}


def unary(operator: FixedOperator, _: dict[str, Any], x: Array) -> Array:
    function = UNARY[str(operator.parameters["op"])]
    return np.array([function(float(value)) for value in x.flat], f32).reshape(x.shape)


def sigmoid(_: FixedOperator, __: dict[str, Any], x: Array) -> Array:
    return np.array([1 / (1 + math.exp(-float(value))) for value in x.flat], f32).reshape(x.shape)


def quantize(_: FixedOperator, constants: dict[str, Any], x: Array) -> Array:
    found = []
    for value in x.reshape(-1):
        steps = f32(f32(value * constants["factor"]) + constants["offset"])
        found.append(min(max(round(float(steps)), 0), 255) if steps < 2.0**31 else 0)
    return np.array(found, np.uint8).reshape(x.shape)


def dequantize(_: FixedOperator, constants: dict[str, Any], x: Array) -> Array:
    found = [f32(f32(f32(value) * constants["factor"]) + constants["offset"]) for value in x.reshape(-1)]
    return np.array(found, f32).reshape(x.shape)


ORACLES: dict[str, Callable[..., Array]] = {
    "kpu_conv": kpu_conv,
    "quantize": quantize,
    "dequantize": dequantize,
    "conv": conv,
    "window": window,
    "matmul": matmul,
    "reduce": reduce,
    "softmax": softmax,
    "binary": binary,
    "unary": unary,
    "sigmoid": sigmoid,
}


def run(model: FixedModel, inputs: dict[str, Array]) -> dict[str, Array]:
    """Every tensor that an operator of the oracle makes."""
    live = {**inputs, **{name: model.constants[name] for name in model.tensors if name in model.constants}}
    for operator in model.operators:
        constants = {role: model.constants[name] for role, name in operator.constants.items()}
        values = [live[name] for name in operator.inputs]
        output = operator.outputs[0]
        if operator.kind in cases_of_choices.ORACLES:
            several = cases_of_choices.ORACLES[operator.kind](model, operator, values[0])
            live.update(zip(operator.outputs, several, strict=True))
        elif operator.kind in ORACLES:
            live[output] = ORACLES[operator.kind](operator, constants, *values)
        else:
            move = oracle_moves.ORACLES[operator.kind]
            live[output] = move(operator, constants, model.tensors[output].shape, *values)
    return {name: values for name, values in live.items() if name not in model.constants}
