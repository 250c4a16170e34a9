"""Kernels that add floats, one after the other, each sum rounded to float32, as the runtime does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.executing import Kernel, Values
from modelbuild.arithmetic.kpu.elementwise import UNARY, clamped, quiet
from modelbuild.arithmetic.windows import Window, window_of

_CHUNK = 1 << 20  # products that are held at once
_LEAST = np.finfo(np.float32).min
Spans = tuple[slice, slice]


def in_order(values: Values, start: Values | float = 0.0) -> Values:
    """start + values[0] + values[1] + ... along the first axis."""
    total = np.array(np.broadcast_to(start, values.shape[1:]), np.float32)
    if total.size >= 256 or len(values) < 4:
        for item in values:
            total += item
        return total
    sums = np.add.accumulate(np.concatenate([total[None], values]), axis=0, dtype=np.float32)
    return np.asarray(sums[-1])


def conv(bound: Bound) -> Kernel:
    """bias + products in the order input channel, row, column; taps outside of the picture are left out."""
    weight, bias, groups = bound.constant("weight"), bound.constant("bias"), bound.number("group")
    taps = list(_taps(window_of(bound, weight.shape[2:]), bound.inputs[0].shape[2:]))
    outer, inner = len(weight) // groups, weight.shape[1]
    factors = weight.reshape(groups, outer, *weight.shape[1:])
    shape = (groups, outer, *bound.output.shape[2:])
    clamp = clamped(bound)

    def one(x: Values) -> Values:
        x = x.reshape(groups, inner, *x.shape[1:])
        total = np.array(np.broadcast_to(bias.reshape(groups, outer, 1, 1), shape))
        for channel in range(inner):
            for row, column, own, out in taps:
                cells = x[:, channel, None, own[0], own[1]]
                total[:, :, out[0], out[1]] += cells * factors[:, :, channel, row, column, None, None]
        return total.reshape(bound.output.shape[1:])

    return quiet(lambda x: clamp(np.stack([one(picture) for picture in x])))


def _taps(window: Window, picture: tuple[int, ...]) -> Iterator[tuple[int, int, Spans, Spans]]:
    """Each row and column of the kernel: the cells that it meets, and the places that they belong to."""
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            rows, columns = (
                _spans(window, axis, tap, picture[axis]) for axis, tap in enumerate((row, column))
            )
            yield row, column, (rows[0], columns[0]), (rows[1], columns[1])


def _spans(window: Window, axis: int, tap: int, size: int) -> Spans:
    """Cells along an axis, and their places."""
    stride, start = window.strides[axis], tap * window.dilations[axis] - window.pads[axis]
    first = max(0, -(start // stride))
    end = max(first, min(window.out[axis], (size - 1 - start) // stride + 1))
    at = start + first * stride
    return slice(at, max(at, at + (end - first - 1) * stride + 1), stride), slice(first, end)


def matmul(bound: Bound) -> Kernel:
    """bias + products, one after the other; leading axes of one of the two may be missing or 1."""
    bias, shape, clamp = bound.constant("bias"), bound.output.shape, clamped(bound)

    def run(a: Values, b: Values) -> Values:
        a, b = (x.reshape((1,) * (len(shape) - x.ndim) + x.shape) for x in (a, b))
        total = np.array(np.broadcast_to(bias, shape), np.float32)
        chunk = max(1, _CHUNK // max(1, total.size))
        for start in range(0, a.shape[-1], chunk):
            span = slice(start, start + chunk)
            left, right = np.moveaxis(a[..., span], -1, 0), np.moveaxis(b[..., span, :], -2, 0)
            products = left[..., :, None] * right[..., None, :]
            total = in_order(products, total)
        return clamp(total)

    return quiet(run)


def window(bound: Bound) -> Kernel:
    """The largest of the cells inside the picture, or their sum row by row, divided by their number."""
    shape, mean, clamp = bound.output.shape, bound.text("op") == "mean", clamped(bound)
    taps = list(_taps(window_of(bound, bound.numbers("kernel")), bound.inputs[0].shape[2:]))
    count = np.zeros(shape[2:], np.float32)
    for _, _, _, out in taps:
        count[out] += 1

    def run(x: Values) -> Values:
        total = np.full(shape, 0.0 if mean else _LEAST, np.float32)
        for _, _, own, out in taps:
            part, held = x[:, :, own[0], own[1]], total[:, :, out[0], out[1]]
            if mean:
                held += part
            else:
                held[...] = np.where(held < part, part, held)
        return clamp(total / count if mean else total)

    return quiet(run)


def reduce(bound: Bound) -> Kernel:
    """Over `axes`, in the order in which the cells lie."""
    axes, shape, op = sorted(bound.numbers("axes")), bound.output.shape, bound.text("op")
    order = [*axes, *(axis for axis in range(len(bound.inputs[0].shape)) if axis not in axes)]

    def run(x: Values) -> Values:
        kept = tuple(x.shape[axis] for axis in order[len(axes) :])
        cells = x.transpose(order).reshape(-1, *kept)
        if op in ("max", "min"):
            found = _extreme(cells, largest=op == "max")
        else:
            found = in_order(cells)
            found = found / np.float32(len(cells)) if op == "mean" else found
        return np.asarray(found).reshape(shape)

    return quiet(run)


def _extreme(cells: Values, *, largest: bool) -> Values:
    """The largest or least along the first axis: a NaN is passed over, of 0.0 and -0.0 the first stays."""
    worst, pick = (_LEAST, np.fmax) if largest else (-_LEAST, np.fmin)
    found = np.asarray(pick(pick.reduce(cells, axis=0), worst))
    first = np.take_along_axis(cells, np.argmax(cells == 0, axis=0)[None], axis=0)[0]
    return np.where(found == 0, first, found)


def softmax(bound: Bound) -> Kernel:
    """exp(x - the largest) over the sum of these along `axis`."""
    axis = bound.number("axis")

    def run(x: Values) -> Values:
        cells = np.moveaxis(x, axis, 0)
        powers = UNARY["exp"](cells - np.maximum(cells.max(axis=0), _LEAST))
        return np.ascontiguousarray(np.moveaxis(powers / in_order(powers), 0, axis))

    return quiet(run)
