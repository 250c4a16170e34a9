"""Conv, ConvTranspose, Gemm, MatMul: exact sums in float64, rescaled by a factor a channel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.tflite.call import Call, Codes, Operand
from modelbuild.arithmetic.tflite.fixed_point import (
    multiply,
    multiply_once,
    multiply_wide,
    quantize_multiplier,
)

Reals = NDArray[np.float64]


def conv(call: Call) -> Codes:
    """Cells outside the picture count as 0 (reference/integer_ops/conv.h, depthwise_conv.h)."""
    x, w = call.operand(0), call.operand(1)
    rank = w.values.ndim - 2
    strides, dilations = (call.node.ints(key, [1] * rank) for key in ("strides", "dilations"))
    pads, group = call.node.ints("pads", [0] * 2 * rank), call.node.int("group", 1)
    if call.node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        call.fail("its padding is not explicit")
    frame = [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)]
    cells = np.pad(x.steps, frame).astype(np.float64)
    weights = _weight_steps(w).astype(np.float64)
    out = call.shape()
    batch, channels = cells.shape[:2]
    total = np.zeros((batch, group, out[1] // group, int(np.prod(out[2:]))))
    for tap, spans in _taps(weights.shape[2:], strides, dilations, out[2:]):
        seen = cells[_both(spans)].reshape(batch, group, channels // group, -1)
        kernel = weights[_both(tap)].reshape(group, -1, weights.shape[1])
        total += np.matmul(kernel, seen)
    return _finished(call, total.reshape(out), x, w, 1)


def _taps(
    kernel: tuple[int, ...], strides: list[int], dilations: list[int], out: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], list[slice]]]:
    """Each place of the kernel, and the cells of the padded input that it meets."""
    for tap in product(*(range(size) for size in kernel)):
        starts = [i * d for i, d in zip(tap, dilations, strict=True)]
        yield (
            tap,
            [
                slice(start, start + stride * (count - 1) + 1, stride)
                for start, stride, count in zip(starts, strides, out, strict=True)
            ],
        )


def _both(places: Iterable[Any]) -> tuple[Any, ...]:
    """The index of `places` on the spatial axes, behind two axes taken whole."""
    return (slice(None), slice(None), *places)


def conv_transpose(call: Call) -> Codes:
    """Each input cell adds its weights around its place (reference/integer_ops/transpose_conv.h)."""
    x, w = call.operand(0), call.operand(1)
    rank = w.values.ndim - 2
    strides, dilations = (call.node.ints(key, [1] * rank) for key in ("strides", "dilations"))
    pads, group = call.node.ints("pads", [0] * 2 * rank), call.node.int("group", 1)
    cells, weights = x.steps.astype(np.float64), _weight_steps(w).astype(np.float64)
    out = call.shape()
    batch, channels = cells.shape[:2]
    reach = [d * (k - 1) for d, k in zip(dilations, weights.shape[2:], strict=True)]
    spans = [
        max((n - 1) * s + r + 1, size + before + after)
        for n, s, r, size, before, after in zip(
            cells.shape[2:], strides, reach, out[2:], pads[:rank], pads[rank:], strict=True
        )
    ]
    canvas = np.zeros((batch, out[1], *spans))
    columns = cells.reshape(batch, group, channels // group, -1)
    for tap, places in _taps(weights.shape[2:], strides, dilations, cells.shape[2:]):
        kernel = weights[_both(tap)].reshape(group, channels // group, -1)
        made = np.matmul(kernel.swapaxes(1, 2), columns).reshape(batch, out[1], *cells.shape[2:])
        canvas[_both(places)] += made
    cut = [slice(before, before + size) for before, size in zip(pads[:rank], out[2:], strict=True)]
    return _finished(call, canvas[_both(cut)], x, w, 1)


def gemm(call: Call) -> Codes:
    """Rows of codes times a matrix (reference/integer_ops/fully_connected.h)."""
    x, w = call.operand(0), call.operand(1)
    matrix = _weight_steps(w).astype(np.float64)
    matrix = matrix.T if call.node.int("transB", 0) else matrix
    if call.node.int("transA", 0) or {call.node.attributes.get(k, 1.0) for k in ("alpha", "beta")} != {1.0}:
        call.fail("it scales or transposes its input")
    return _finished(call, np.matmul(x.steps.astype(np.float64), matrix), x, w, -1)


def matmul(call: Call) -> Codes:
    """Of two tensors (reference/batch_matmul.h)."""
    a, b = call.operand(0), call.operand(1)
    total = np.matmul(a.steps.astype(np.float64), _weight_steps(b).astype(np.float64))
    return _finished(call, total, a, b, -1)


def _weight_steps(w: Operand) -> Codes:
    assert w.entry is not None
    shape = [1] * w.values.ndim
    if w.entry.axis is not None:
        shape[w.entry.axis] = len(w.entry.zero_point)
    return w.values.astype(np.int64) - np.array(w.entry.zero_point, np.int64).reshape(shape)


def _finished(call: Call, total: Reals, x: Operand, w: Operand, axis: int) -> Codes:
    """The sums, with the bias, at the output's scale; channels lie on `axis`."""
    shape = [1] * total.ndim
    shape[axis] = -1
    sums = total.astype(np.int64)
    bias = call.optional(2) if call.node.op != "MatMul" else None
    if bias is not None:
        if bias.entry is None:
            call.fail(f"the source does not quantize its bias `{bias.name}`")
        sums = sums + bias.values.astype(np.int64).reshape(shape)
    assert w.entry is not None
    pairs = [quantize_multiplier(factor) for factor in _factors(call, x, w)]
    multipliers: NDArray[Any] = np.array([pair[0] for pair in pairs], np.int64).reshape(shape)
    shifts: NDArray[Any] = np.array([pair[1] for pair in pairs], np.int64).reshape(shape)
    wide = x.entry is not None and x.entry.dtype == "int16"
    rescale = multiply_once if call.node.op == "Gemm" else multiply_wide if wide else multiply
    return call.saturated(rescale(sums, multipliers, shifts) + call.zero)


def _factors(call: Call, x: Operand, w: Operand) -> list[float]:
    """In double precision a channel; of one scale for all, the product of the inputs' is a float32 first
    (kernel_util.cc: PopulateConvolutionQuantizationParams, GetQuantizedConvolutionMultipler)."""
    assert w.entry is not None
    whole = w.entry.axis is None and call.node.op != "Conv" and w.entry.dtype != "int4"
    if whole or w.entry.dtype == "uint8":
        return [float(np.float32(x.scale) * np.float32(w.scale)) / call.scale]
    return [x.scale * scale / call.scale for scale in w.entry.scale]


KERNELS = {"Conv": conv, "ConvTranspose": conv_transpose, "Gemm": gemm, "MatMul": matmul}
