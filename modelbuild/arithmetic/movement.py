"""Kernels that move integers: `concat`, `reshape`, `transpose`, `slice`, `pad`, `gather`, `resize_linear`."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.binding import Bound, Kernel
from modelbuild.arithmetic.fixed_model import Integers, QuantizedTensor
from modelbuild.arithmetic.requantize import rescaled
from modelbuild.arithmetic.tables import tabulated


def concat(bound: Bound) -> Kernel:
    """Each input at the output's scale, side by side."""
    axis, dtype, shape = bound.number("axis"), bound.output.dtype, bound.output.shape
    factors = zip(
        bound.inputs,
        bound.numbers("input_zeros"),
        bound.numbers("multipliers"),
        bound.numbers("shifts"),
        strict=True,
    )
    parts = [_at_scale(bound, *of_input) for of_input in factors]
    ends = np.cumsum([tensor.shape[axis] for tensor in bound.inputs])
    spans = [
        (*(slice(None),) * axis, slice(int(end) - tensor.shape[axis], int(end)))
        for tensor, end in zip(bound.inputs, ends, strict=True)
    ]

    def run(*inputs: Integers) -> Integers:
        out = np.empty(shape, dtype)
        for x, part, span in zip(inputs, parts, spans, strict=True):
            out[span] = part(x)
        return out

    return run


def _at_scale(bound: Bound, x: QuantizedTensor, zero: int, multiplier: int, shift: int) -> Kernel:
    kept = (multiplier, shift, zero, x.dtype) == (1, 0, bound.number("output_zero"), bound.output.dtype)
    if kept and bound.number("low") <= x.low and x.high <= bound.number("high"):
        return lambda values: values

    def answer(values: Integers) -> Integers:
        return rescaled(values.astype(np.int64) - zero, multiplier, shift, bound)

    return tabulated(answer, x)


def reshape(bound: Bound) -> Kernel:
    """The same integers in another shape."""
    shape = bound.numbers("shape")
    return lambda x: x.reshape(shape)


def transpose(bound: Bound) -> Kernel:
    """The same integers, axes in another order."""
    perm = bound.numbers("perm")
    return lambda x: np.ascontiguousarray(x.transpose(perm))


def slice_axes(bound: Bound) -> Kernel:
    """A part along every axis."""
    bounds = zip(bound.numbers("starts"), bound.numbers("ends"), bound.numbers("steps"), strict=True)
    spans = tuple(slice(start, end, step) for start, end, step in bounds)
    return lambda x: np.ascontiguousarray(x[spans])


def pad(bound: Bound) -> Kernel:
    """`value` around the input."""
    widths = tuple(zip(bound.numbers("before"), bound.numbers("after"), strict=True))
    value = bound.number("value")
    return lambda x: np.pad(x, widths, constant_values=value)


def gather(bound: Bound) -> Kernel:
    """Slabs along `axis` in the order of `indices`."""
    axis, indices = bound.number("axis"), bound.constant("indices")
    return lambda x: np.take(x, indices, axis=axis)


def resize_linear(bound: Bound) -> Kernel:
    """Two rows and two columns of weights that sum to 2^11 each; columns first, then rows."""
    rows, columns = bound.constant("rows"), bound.constant("columns")
    row_weights = bound.constant("row_weights").astype(np.int64)[:, :, None]
    column_weights = bound.constant("column_weights").astype(np.int64)
    zero = bound.number("output_zero")

    def run(x: Integers) -> Integers:
        wide = x.astype(np.int64) - zero
        lines = sum(wide[..., columns[:, j]] * column_weights[:, j] for j in range(2))
        assert not isinstance(lines, int)
        total = sum(lines[..., rows[:, i], :] * row_weights[:, i] for i in range(2))
        return rescaled(np.asarray(total), 1, 22, bound)

    return run
