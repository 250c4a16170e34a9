"""The operators of `multiplier_shift@1` as a table: what each takes, makes, and how large its sums get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from modelbuild.arithmetic import operator_shapes as shapes
from modelbuild.arithmetic.binding import Bound, magnitude


@dataclass(frozen=True)
class OperatorKind:
    """`parameters`: name -> "int" or "ints"; `constants`: role -> number of axes.

    `shape` gives the output's shape and refuses what cannot be; `largest_sum` bounds |accumulator|.
    """

    inputs: tuple[int, int]
    parameters: Mapping[str, str]
    constants: Mapping[str, int]
    shape: Callable[[Bound], tuple[int, ...]]
    largest_sum: Callable[[Bound], int] | None = None
    keeps_scale: bool = False


def _parameters(integers: str, lists: str = "") -> dict[str, str]:
    return {**dict.fromkeys(integers.split(), "int"), **dict.fromkeys(lists.split(), "ints")}


def _weighted_sum(bound: Bound) -> int:
    """max over rows of Σ|w|·max|x − z| + |bias|."""
    weight = np.abs(bound.constant("weight").astype(np.int64))
    rows = weight.reshape(weight.shape[0], -1).sum(axis=1)
    bias = np.abs(bound.constant("bias").astype(np.int64))
    return int((rows * magnitude(bound.inputs[0], bound.number("input_zero")) + bias).max())


def _matmul_sum(bound: Bound) -> int:
    depth: int = bound.inputs[0].shape[-1]
    return depth * _product(bound)


def _product(bound: Bound) -> int:
    left = magnitude(bound.inputs[0], bound.number("input_zero"))
    return left * magnitude(bound.inputs[1], bound.number("other_zero"))


def _pool_sum(bound: Bound) -> int:
    kernel = bound.numbers("kernel")
    return kernel[0] * kernel[1] * magnitude(bound.inputs[0], bound.number("input_zero"))


def _reduced_sum(bound: Bound) -> int:
    count = 1
    for axis in bound.numbers("axes"):
        count *= bound.inputs[0].shape[axis]
    return count * magnitude(bound.inputs[0], bound.number("input_zero"))


_ROWS = {"multiplier": 1, "shift": 1}
_ONE = "multiplier shift output_zero low high"
OPERATORS: dict[str, OperatorKind] = {
    "conv": OperatorKind(
        (1, 1),
        _parameters("group input_zero output_zero low high", "strides pads dilations"),
        {"weight": 4, "bias": 1, **_ROWS},
        shapes.conv,
        _weighted_sum,
    ),
    "gemm": OperatorKind(
        (1, 1),
        _parameters("input_zero output_zero low high"),
        {"weight": 2, "bias": 1, **_ROWS},
        shapes.gemm,
        _weighted_sum,
    ),
    "matmul": OperatorKind(
        (2, 2), _parameters("input_zero other_zero " + _ONE), {}, shapes.matmul, _matmul_sum
    ),
    "add": OperatorKind(
        (2, 2),
        _parameters("input_zero other_zero input_multiplier other_multiplier shift output_zero low high"),
        {},
        shapes.broadcast,
    ),
    "multiply": OperatorKind(
        (2, 2), _parameters("input_zero other_zero " + _ONE), {}, shapes.broadcast, _product
    ),
    "rescale": OperatorKind((1, 1), _parameters("input_zero " + _ONE), {}, shapes.same),
    "prelu": OperatorKind(
        (1, 1),
        _parameters("input_zero " + _ONE),
        {"negative_multiplier": 1, "negative_shift": 1},
        shapes.prelu,
    ),
    "table": OperatorKind((1, 1), _parameters("input_low"), {"table": 1}, shapes.table),
    "curve": OperatorKind(
        (1, 1),
        _parameters("start segment_bits output_zero low high"),
        {"value": 1, "slope": 1, "bend": 1},
        shapes.curve,
    ),
    "max_pool": OperatorKind(
        (1, 1),
        _parameters("low high", "kernel strides pads dilations"),
        {},
        shapes.pool,
        keeps_scale=True,
    ),
    "average_pool": OperatorKind(
        (1, 1),
        _parameters("count_include_pad input_zero output_zero low high", "kernel strides pads"),
        {"count": 1, **_ROWS},
        shapes.average_pool,
        _pool_sum,
    ),
    "reduce_sum": OperatorKind(
        (1, 1), _parameters("keepdims input_zero " + _ONE, "axes"), {}, shapes.reduced, _reduced_sum
    ),
    "reduce_max": OperatorKind((1, 1), _parameters("keepdims", "axes"), {}, shapes.reduced, keeps_scale=True),
    "softmax": OperatorKind(
        (1, 1),
        _parameters("axis one output_zero low high"),
        {"table": 1},
        shapes.softmax,
    ),
    "concat": OperatorKind(
        (1, 4096),
        _parameters("axis output_zero low high", "input_zeros multipliers shifts"),
        {},
        shapes.concat,
    ),
    "reshape": OperatorKind((1, 1), _parameters("", "shape"), {}, shapes.reshape, keeps_scale=True),
    "transpose": OperatorKind((1, 1), _parameters("", "perm"), {}, shapes.transpose, keeps_scale=True),
    "slice": OperatorKind(
        (1, 1), _parameters("", "starts ends steps"), {}, shapes.slice_axes, keeps_scale=True
    ),
    "pad": OperatorKind((1, 1), _parameters("value", "before after"), {}, shapes.pad, keeps_scale=True),
    "gather": OperatorKind((1, 1), _parameters("axis"), {"indices": 1}, shapes.gather, keeps_scale=True),
    "resize_linear": OperatorKind(
        (1, 1),
        _parameters("output_zero low high"),
        {"rows": 2, "row_weights": 2, "columns": 2, "column_weights": 2},
        shapes.resize_linear,
        keeps_scale=True,
    ),
}
