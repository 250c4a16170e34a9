"""Functions that leave one value of many: reduce, reduce_prod."""

from __future__ import annotations

import numpy as np

from modelbuild.kpu.simulator import scalars
from modelbuild.kpu.simulator.call import Call, Shape
from modelbuild.kpu.simulator.functions.sums import in_order
from modelbuild.kpu.simulator.memory import Array, elements

_FLOAT32, _INT32, _INT64 = 9, 2, 3
_MEAN, _MIN, _MAX, _SUM = range(4)


def axes_of(call: Call, name: str, rank: int) -> tuple[int, ...]:
    """The axes in a register, each once."""
    found = call.shape(name)
    if any(not 0 <= axis < rank for axis in found) or len(set(found)) != len(found):
        raise call.fail(f"{list(found)} are no axes of {rank} dimensions")
    return found


def gathered(values: Array, axes: tuple[int, ...]) -> tuple[Array, Shape]:
    """The values with all axes to be reduced as the first dimension, in row-major order; the shape of what
    remains, which has at least one dimension."""
    rest = [axis for axis in range(values.ndim) if axis not in axes]
    kept = tuple(values.shape[axis] for axis in rest)
    return values.transpose([*sorted(axes), *rest]).reshape(-1, *kept), kept or (1,)


def shaped(values: Array, source: Shape, axes: tuple[int, ...], *, keep: bool) -> Array:
    """The result in its shape: axes that were reduced as one, or gone."""
    if keep:
        return values.reshape([1 if axis in axes else size for axis, size in enumerate(source)])
    kept = [size for axis, size in enumerate(source) if axis not in axes]
    return values.reshape(kept or [1])


def reduce(call: Call) -> None:
    """Mean, sum (from an initial value), least or largest."""
    dtype = call.only(_FLOAT32, _INT32, _INT64)
    shape = call.sizes("rshape_src")
    axes = axes_of(call, "rshape_axis", len(shape))
    found, _ = gathered(call.load("input", shape, call.shape("rstride_src"), dtype), axes)
    call.spend(found.size, len(found))
    start = _initial(call, dtype)
    operation = call.number("reduce_op")
    if operation in (_MEAN, _SUM):
        left = in_order(found, start)
        if operation == _MEAN:
            left = _over(left, elements([shape[axis] for axis in axes]))
    elif operation in (_MIN, _MAX):
        left = _extreme(found, dtype, largest=operation == _MAX)
    else:
        raise call.fail(f"the runtime has no operation {operation}")
    call.store("output", shaped(left, shape, axes, keep=call.flag("keep_dims")), call.shape("rstride_dest"))


def _initial(call: Call, dtype: np.dtype) -> Array | np.generic:
    value = call.value("init_value")
    if dtype.itemsize == 8:
        return np.int64(scalars.whole(value))
    return scalars.scalar(value, call.number("datatype")).astype(dtype)[()]


def _over(values: Array, count: int) -> Array:
    if values.dtype == np.float32:
        return np.asarray(values / np.float32(count))
    cut = np.abs(values) // count
    return np.asarray(np.where(values < 0, -cut, cut), values.dtype)


def _extreme(values: Array, dtype: np.dtype, *, largest: bool) -> Array:
    """As the kernels compare, one after the other: a NaN is passed over."""
    info = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    worst = dtype.type(info.min if largest else info.max)
    if dtype.kind == "f":
        values = np.where(np.isnan(values), worst, values)
    if not len(values):
        return np.full(values.shape[1:], worst)
    pick = np.maximum if largest else np.minimum
    found = np.asarray(pick(worst, pick.reduce(values, axis=0)), dtype)
    if dtype.kind == "f" and (found == 0).any():
        # Of 0.0 and -0.0 the first one stays.
        first = np.take_along_axis(values, np.argmax(values == 0, axis=0)[None], axis=0)[0]
        found = np.where(found == 0, first, found)
    return found


def reduce_prod(call: Call) -> None:
    """1 times each value, one after the other."""
    dtype = call.only(_FLOAT32, _INT32)
    shape = call.sizes("rshape_src")
    axes = axes_of(call, "rshape_axes", len(shape))
    found, _ = gathered(call.load("input", shape, call.shape("rstride_src"), dtype), axes)
    call.spend(found.size, len(found))
    left = np.ones(found.shape[1:], dtype)
    for item in found:
        left = left * item
    call.store("output", shaped(left, shape, axes, keep=call.flag("keep_dims")), call.shape("rstride_dest"))
