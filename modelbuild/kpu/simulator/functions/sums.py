"""Functions that add along something, in the order in which the vendor's kernels add: one after the other."""

from __future__ import annotations

import numpy as np

from modelbuild.kpu.simulator.call import Call
from modelbuild.kpu.simulator.functions.elementwise import exp
from modelbuild.kpu.simulator.memory import Array, elements

_FLOAT32, _INT32 = 9, 2
_CHUNK = 1 << 20  # products that are held at once


def in_order(values: Array, start: Array | np.generic | float | int) -> Array:
    """start + values[0] + values[1] … along the first dimension, each sum rounded to the type."""
    total = np.broadcast_to(np.asarray(start, values.dtype), values.shape[1:]).copy()
    if total.size >= 256 or len(values) < 4:
        for item in values:
            total += item
        return total
    sums = np.add.accumulate(np.concatenate([total[None], values]), axis=0, dtype=values.dtype)
    return np.asarray(sums[-1])


def cumsum(call: Call) -> None:
    """Sums up to each element along an axis, with or without it, from either end."""
    dtype = call.only(_FLOAT32, _INT32)
    shape = call.sizes("rshape_src")
    axis = _axis(call, call.number("axis"), len(shape))
    found = np.moveaxis(call.load("input", shape, None, dtype), axis, 0)
    if call.flag("reverse"):
        found = found[::-1]
    sums = np.add.accumulate(np.concatenate([np.zeros_like(found[:1]), found]), axis=0, dtype=dtype)
    sums = sums[:-1] if call.flag("exclusive") else sums[1:]
    if call.flag("reverse"):
        sums = sums[::-1]
    call.store("output", np.ascontiguousarray(np.moveaxis(sums, 0, axis)))


def matmul(call: Call) -> None:
    """bias + the products, one after the other. Matrices without gaps; from one matrix of a batch to the next
    goes the stride of the first dimension."""
    shapes = [call.sizes(name) for name in ("rshape_src1", "rshape_src2", "rshape_dest")]
    strides = [call.shape(name) for name in ("rstride_src1", "rstride_src2", "rstride_dest")]
    if any(len(shape) < 2 or len(own) < 1 for shape, own in zip(shapes, strides, strict=True)):
        raise call.fail("it takes matrices")
    (rows, inner), columns = shapes[0][-2:], shapes[1][-1]
    counts = [elements(shape[:-2]) for shape in shapes]
    steps = [0 if count == 1 else own[0] for count, own in zip(counts, strides, strict=True)]
    batch = max(counts[0], counts[1])
    call.spend(batch * rows * columns * inner, batch * inner)
    sizes = ((rows, inner), (inner, columns), (rows, columns))
    (a, b), bias = (
        (
            call.load(name, (batch, *size), (step, size[1], 1))
            for name, size, step in zip(("input_a", "input_b"), sizes, steps, strict=False)
        ),
        call.load("bias", (columns,)),
    )
    found = np.stack([_product(one, two, bias) for one, two in zip(a, b, strict=True)])
    if counts[2] == 1 and batch > 1:
        found = found[-1:]  # each matrix is written over the one before
    call.store("output", call.clamped(found), (steps[2], columns, 1))


def _product(a: Array, b: Array, bias: Array) -> Array:
    total = np.broadcast_to(bias, (a.shape[0], b.shape[1])).astype(np.float32)
    chunk = max(1, _CHUNK // max(1, total.size))
    for start in range(0, a.shape[1], chunk):
        part = slice(start, start + chunk)
        total = in_order(a.T[part, :, None] * b[part, None, :], total)
    return total


def softmax(call: Call) -> None:
    """exp((x - the largest) * beta) over the sum of these."""
    call.only(_FLOAT32)
    shape = call.sizes("rshape_src")
    axis = _axis(call, call.number("axis"), len(shape))
    found = np.moveaxis(call.load("input", shape, call.shape("rstride_src")), axis, 0)
    call.spend(found.size * 16, found.shape[0])
    call.inexact()
    top = np.maximum(found.max(axis=0), np.finfo(np.float32).min)
    powers = exp((found - top) * call.float32("beta"))
    shares = powers / in_order(powers, 0)
    call.store("output", np.ascontiguousarray(np.moveaxis(shares, 0, axis)), call.shape("rstride_dest"))


def layer_normalization(call: Call) -> None:
    """Over all dimensions from the axis on: mean and variance as sums of quotients, then scale and bias."""
    call.only(_FLOAT32)
    shape, axis = call.sizes("input_shape"), call.number("axis")
    if not 0 <= axis <= len(shape):
        raise call.fail(f"there is no axis {axis} of {len(shape)}")
    outer, inner = elements(shape[:axis]), elements(shape[axis:])
    found = call.load("input", (outer, inner))
    scale, bias = call.load("scale", (inner,)), call.load("bias", (inner,))
    call.spend(found.size * 8, inner)
    count = np.float32(inner)
    centred = found - in_order((found / count).T, 0)[:, None]
    variance = in_order((centred * centred / count).T, 0)
    spread = np.sqrt(variance + call.float32("epsilon"))
    call.store("output", centred / spread[:, None] * scale + bias)


def _axis(call: Call, axis: int, rank: int) -> int:
    """The axis counted from the front."""
    found = axis + rank if axis < 0 else axis
    if not 0 <= found < rank:
        raise call.fail(f"there is no axis {axis} of {rank}")
    return found
