"""Functions between types: convert, quantize, dequantize."""

from __future__ import annotations

import numpy as np

from modelbuild.kpu.simulator import scalars
from modelbuild.kpu.simulator.call import Call
from modelbuild.kpu.simulator.memory import Array, row_major
from modelbuild.kpu.simulator.types import BFLOAT16, DTYPES, dtype_of, from_bfloat16, to_bfloat16

_HALF, _FLOAT32, _FLOAT64, _UINT8, _INT8 = 8, 9, 10, 4, 0
_LOW32, _LOW64 = np.int64(-(1 << 31)), np.int64(-(1 << 63))


def to_whole(values: Array, dtype: np.dtype) -> Array:
    """float32 cut to whole numbers as the processor does: what 32 bits (64 for the larger types) do not hold
    becomes their lowest number, and of that the low bits count."""
    wide = dtype.itemsize == 8 or dtype == np.uint32
    low, limit = (_LOW64, 2.0**63) if wide else (_LOW32, 2.0**31)
    inside = (values >= -limit) & (values < limit)
    cut = np.where(inside, np.trunc(np.where(inside, values, 0)), 0).astype(np.int64)
    found = np.where(inside, cut, low)
    if dtype == np.uint64:
        # Two steps: what 63 bits do not hold, less 2**63, with the top bit turned.
        upper = ~inside & (values >= limit)
        rest = np.where(upper, values - np.float32(limit), 0)
        fits = upper & (rest < limit)
        high = np.where(fits, np.where(fits, rest, 0).astype(np.int64), np.int64(0)) ^ _LOW64
        found = np.where(upper, np.where(fits, high, np.int64(0)), found)
    return found.astype(dtype)


def convert(call: Call) -> None:
    """From any type to any other; to float16 only from float32, and to float64 from none."""
    source, target = call.number("in_datatype"), call.number("dst_datatype")
    known = source != _FLOAT64 and target != _FLOAT64 and (target != _HALF or source == _FLOAT32)
    if not known or not 0 <= source < len(DTYPES) or not 0 <= target < len(DTYPES):
        raise call.fail(f"there is no kernel from {dtype_of(source)} to {dtype_of(target)}")
    found = call.load("input", call.sizes("rshape_src"), call.shape("rstride_src"), dtype_of(source))
    if source == BFLOAT16:
        found = from_bfloat16(found)
    elif source == _HALF:
        found = found.astype(np.float32)
    call.store("output", _converted(found, target), call.shape("rstride_dest"))


def _converted(values: Array, target: int) -> Array:
    dtype = dtype_of(target)
    if target == BFLOAT16:
        return to_bfloat16(values.astype(np.float32))
    if values.dtype == np.float32 and dtype.kind in "iu":
        return to_whole(values, dtype)
    return values.astype(dtype)


def quantize(call: Call) -> None:
    """x * scale, rounded to float32, + bias, rounded again, to the nearest whole number, ties to even, then
    to the bounds of the type. What 32 bits do not hold becomes the lowest value. `scale` is one over that of
    the quantization, `bias` its zero point."""
    source, target = call.number("in_datatype"), call.number("dst_datatype")
    if source != _FLOAT32 or target not in (_UINT8, _INT8):
        raise call.fail(f"there is no kernel from {dtype_of(source)} to {dtype_of(target)}")
    shape, strides = call.sizes("rshape_src"), call.shape("rstride_src")
    target_strides = call.shape("rstride_dest")
    found = call.load("input", shape, strides)
    scale, bias = scalars.real(call.value("scale")), scalars.real(call.value("bias"))
    near = np.rint(found * scale + bias)
    # With gaps the runtime goes by 64 bits, of which it takes the low 32.
    dense = strides == target_strides == row_major(shape)
    whole = to_whole(near, np.dtype(np.int32 if dense else np.int64)).astype(np.int32)
    bounds = np.iinfo(dtype_of(target))
    call.store("output", np.clip(whole, bounds.min, bounds.max).astype(dtype_of(target)), target_strides)


def dequantize(call: Call) -> None:
    """x * scale, rounded to float32, + bias, rounded again."""
    source, target = call.number("in_datatype"), call.number("dst_datatype")
    if source not in (_UINT8, _INT8) or target != _FLOAT32:
        raise call.fail(f"there is no kernel from {dtype_of(source)} to {dtype_of(target)}")
    found = call.load("input", call.sizes("rshape_src"), call.shape("rstride_src"), dtype_of(source)).astype(
        np.float32
    )
    scale, bias = scalars.real(call.value("scale")), scalars.real(call.value("bias"))
    call.store("output", found * scale + bias, call.shape("rstride_dest"))
