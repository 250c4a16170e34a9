"""Functions that choose among elements: reduce_arg, hardmax, topk."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from modelbuild.kpu.simulator.call import Call
from modelbuild.kpu.simulator.functions.reductions import axes_of, gathered, shaped
from modelbuild.kpu.simulator.memory import row_major
from modelbuild.kpu.simulator.types import I64, dtype_of

_FLOAT32, _INT32, _INT64 = 9, 2, 3
_NEAR = np.float32(0.000001)  # below this difference, values count as equal


def reduce_arg(call: Call) -> None:
    """Where the least or largest value is: the first such, or the last of those behind it that differ from it
    by less than 1e-6. Of several axes only the place in the first one is told."""
    target = call.number("datatype_dest")
    if target not in (_INT32, _INT64):
        raise call.fail(f"there is no kernel to {dtype_of(target)}")
    shape = call.sizes("rshape_src")
    axes = axes_of(call, "rshape_axis", len(shape))
    operation = call.number("reduce_arg_op")
    if not axes or operation not in (0, 1):
        raise call.fail("it has no axis, or an operation that is none")
    found, _ = gathered(call.load("input", shape, call.shape("rstride_src")), axes)
    call.spend(found.size * 4)
    lowest = np.finfo(np.float32).min
    values = found if operation == 1 else -found
    known = np.where(np.isnan(values), -np.inf, values)
    best = known.max(axis=0)
    if (best < lowest).any():
        raise call.fail("it has no value to choose: all are NaN or infinite")
    place = known.argmax(axis=0)
    if call.flag("select_last_idx"):
        # The index of the last one is that of the first one in the reversed order.
        near = (np.abs(values - best) < _NEAR) | (
            np.arange(len(values)).reshape(-1, *[1] * best.ndim) == place
        )
        place = len(values) - 1 - near[::-1].argmax(axis=0)
    ordered = sorted(axes)
    position = np.unravel_index(place, [shape[axis] for axis in ordered])[ordered.index(axes[0])]
    left = shaped(np.asarray(position), shape, axes, keep=call.flag("keep_dims"))
    call.store("output", left.astype(dtype_of(target)), call.shape("rstride_dest"))


def hardmax(call: Call) -> None:
    """1 at the first of the largest values along an axis, 0 elsewhere; all 0 where none is above 2**-126."""
    call.only(_FLOAT32)
    shape, strides = call.sizes("rshape_src"), call.shape("rstride_src")
    axis = call.number("axis")
    if not 0 <= axis < len(shape):
        raise call.fail(f"there is no axis {axis} of {len(shape)}")
    found = call.load("input", shape, strides)
    if strides != row_major(shape):
        raise call.fail("its input has gaps, for which the runtime writes outside of its output")
    known = np.where(np.isnan(found), -np.inf, found)
    place = np.expand_dims(known.argmax(axis=axis), axis)
    most = np.take_along_axis(known, place, axis)
    result = np.zeros(shape, np.float32)
    np.put_along_axis(result, place, (most > np.finfo(np.float32).tiny).astype(np.float32), axis)
    call.store("output", result)


def topk(call: Call) -> None:
    """The k largest or least values along an axis with their places, in order or as the vendor's selection
    leaves them. Of equal ones in order, the larger place is first among the largest, the smaller among the
    least."""
    call.only(_FLOAT32)
    shape, k, axis = call.sizes("rshape_src"), call.number("k"), call.number("axis")
    if not 0 <= axis < len(shape) or not 1 <= k <= shape[axis]:
        raise call.fail(f"{k} of axis {axis} of a shape {list(shape)}")
    found = np.moveaxis(call.load("input", shape, call.shape("rstride_src")), axis, -1)
    if np.isnan(found).any():
        raise call.fail("it orders a NaN")
    rows = found.reshape(-1, shape[axis])
    call.spend(rows.size * 8, rows.size // 8)
    choose = _ordered if call.flag("sorted") else _selected
    largest = call.flag("largest")
    chosen = np.array([choose(row, k, largest=largest) for row in rows.tolist()], np.int64)
    left = chosen.reshape(*found.shape[:-1], k)
    values = np.take_along_axis(found, left, -1)
    wanted = row_major((*shape[:axis], k, *shape[axis + 1 :]))
    if call.shape("rstride_dest1") != wanted:
        raise call.fail("its output has gaps, which the runtime does not keep")
    call.store("output_a", np.ascontiguousarray(np.moveaxis(values, -1, axis)))
    call.store("output_b", np.ascontiguousarray(np.moveaxis(left, -1, axis)).astype(I64))


def _ordered(row: Sequence[float], k: int, *, largest: bool) -> list[int]:
    """The places of the k best, as a queue keeps them: one that is no better than the worst stays out."""
    sign = 1 if largest else -1
    queue: list[tuple[float, int]] = []
    for index, value in enumerate(row):
        item = (sign * value, sign * index)
        if len(queue) < k:
            heapq.heappush(queue, item)
        elif item[0] > queue[0][0]:
            heapq.heapreplace(queue, item)
    return [sign * index for _, index in sorted(queue, reverse=True)]


def _selected(row: Sequence[float], k: int, *, largest: bool) -> list[int]:
    """The places of the k best in the order in which quick selection leaves them."""
    sign = -1 if largest else 1
    items = [(sign * value, index) for index, value in enumerate(row)]
    low, high = 0, len(items) - 1
    while low < high:
        middle = _partition(items, low, high)
        if middle == k:
            break
        low, high = (low, middle - 1) if middle > k else (middle + 1, high)
    return [index for _, index in items[:k]]


def _partition(items: list[tuple[float, int]], low: int, high: int) -> int:
    """Smaller ones to the left of the first, larger ones to the right; where it comes to lie."""
    pivot = items[low][0]
    left, right = low, high + 1
    while True:
        left += 1
        while left < high and items[left][0] < pivot:
            left += 1
        right -= 1
        while right > low and items[right][0] > pivot:
            right -= 1
        if left >= right:
            break
        items[left], items[right] = items[right], items[left]
    items[low], items[right] = items[right], items[low]
    return right
