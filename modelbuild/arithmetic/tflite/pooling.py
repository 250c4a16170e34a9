"""AveragePool, MaxPool, GlobalAveragePool, means, sums and extremes along axes."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.tflite.call import Call, Codes, Operand
from modelbuild.arithmetic.tflite.elementwise import requantized
from modelbuild.arithmetic.tflite.fixed_point import divide, multiply, quantize_multiplier


def _windows(call: Call, values: Codes, fill: int) -> tuple[Codes, ...]:
    """What each tap sees, padded with `fill`; explicit padding only."""
    kernel = call.node.ints("kernel_shape", [])
    rank = len(kernel)
    strides, dilations = (call.node.ints(key, [1] * rank) for key in ("strides", "dilations"))
    pads = call.node.ints("pads", [0] * 2 * rank)
    if call.node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        call.fail("its padding is not explicit")
    out = call.shape()[2:]
    frame = [(0, 0), (0, 0)]
    for axis in range(rank):
        reach = (out[axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1
        size = values.shape[axis + 2]
        frame.append((pads[axis], max(pads[rank + axis], reach - size - pads[axis], 0)))
    padded = np.pad(values, frame, constant_values=fill)
    seen = []
    for tap in np.ndindex(*kernel):
        starts = [i * d for i, d in zip(tap, dilations, strict=True)]
        spans = [
            slice(start, start + stride * (count - 1) + 1, stride)
            for start, stride, count in zip(starts, strides, out, strict=True)
        ]
        seen.append(padded[(slice(None), slice(None), *spans)])
    return tuple(seen)


def average_pool(call: Call) -> Codes:
    """The codes' mean over the cells inside the picture, halves away from 0 (integer_ops/pooling.h)."""
    x = call.operand(0)
    if call.node.int("count_include_pad", 0) and any(call.node.ints("pads", [0])):
        call.fail("it counts the padding")
    total = sum(_windows(call, x.values.astype(np.int64), 0), np.int64(0))
    ones = np.ones((1, 1, *x.values.shape[2:]), np.int64)
    count = sum(_windows(call, ones, 0), np.int64(0))
    return _same(call, x, divide(np.asarray(total), count))


def max_pool(call: Call) -> Codes:
    """The largest code."""
    x = call.operand(0)
    lowest = -(1 << 31)
    return _same(call, x, np.maximum.reduce(_windows(call, x.values.astype(np.int64), lowest)))


def _same(call: Call, x: Operand, codes: Codes) -> Codes:
    """Pools keep the quantization; where a source's differ all the same, it is changed behind the pool."""
    return call.saturated(requantized(Operand(x.name, codes, x.entry), call.scale, call.zero))


def global_average_pool(call: Call) -> Codes:
    """An AveragePool of one window where it keeps the quantization, as that does; else a mean."""
    x = call.operand(0)
    if x.entry != call.target:
        return mean(call)
    axes = _axes(call, x)
    count = int(np.prod([x.values.shape[axis] for axis in axes]))
    return call.saturated(divide(x.values.astype(np.int64).sum(axis=axes, keepdims=True), count))


def mean(call: Call) -> Codes:
    """The sum rescaled by a factor that holds 1 / count, cut off to 31 bits (reference/reduce.h)."""
    x = call.operand(0)
    axes = _axes(call, x)
    count = int(np.prod([x.values.shape[axis] for axis in axes]))
    total = x.steps.sum(axis=axes)
    multiplier, shift = quantize_multiplier(x.scale / call.scale)
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    scaled = multiply(total, (multiplier << bits) // count, shift - bits)
    return call.saturated(scaled + call.zero).reshape(call.shape())


def reduce_sum(call: Call) -> Codes:
    """The sum rescaled (reference/reduce.h)."""
    x = call.operand(0)
    total = x.steps.sum(axis=_axes(call, x))
    scaled = multiply(total, *quantize_multiplier(x.scale / call.scale))
    return call.saturated(scaled + call.zero).reshape(call.shape())


def reduce_max(call: Call) -> Codes:
    """The largest code along the axes."""
    x = call.operand(0)
    return _same(call, x, x.values.astype(np.int64).max(axis=_axes(call, x))).reshape(call.shape())


def reduce_min(call: Call) -> Codes:
    """The smallest code along the axes."""
    x = call.operand(0)
    return _same(call, x, x.values.astype(np.int64).min(axis=_axes(call, x))).reshape(call.shape())


def _axes(call: Call, x: Operand) -> tuple[int, ...]:
    rank = x.values.ndim
    if call.node.op.startswith("Global"):
        return tuple(range(2, rank))
    given = call.optional(1)
    axes = given.values.reshape(-1).tolist() if given is not None else call.node.ints("axes", [])
    return tuple(sorted({int(axis) % rank for axis in axes})) or tuple(range(rank))


KERNELS = {
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": reduce_max,
    "MaxPool": max_pool,
    "ReduceMax": reduce_max,
    "ReduceMean": mean,
    "ReduceMin": reduce_min,
    "ReduceSum": reduce_sum,
}
