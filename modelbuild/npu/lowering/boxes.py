"""Loops of operators by themselves: how large a step can be so that it fits in a workspace."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.memory import align

Box = tuple[int, ...]


def largest_box(extents: Sequence[int], size_of: Callable[[Box], int], limit: int) -> Box:
    """The largest box whose `size_of` is within `limit`, cut along the outermost axes first."""
    box = list(extents)
    for axis in range(len(box)):
        if size_of(tuple(box)) <= limit:
            break
        low, high = 1, box[axis]
        while low < high:
            middle = (low + high + 1) // 2
            box[axis] = middle
            low, high = (middle, high) if size_of(tuple(box)) <= limit else (low, middle - 1)
        box[axis] = low
        if low > 1:  # equal steps rather than a small last one
            steps = -(-extents[axis] // low)
            box[axis] = -(-extents[axis] // steps)
    needed = size_of(tuple(box))
    if needed > limit:
        raise DoesNotFit(needed)
    return tuple(box)


@dataclass(frozen=True)
class StripPlan:
    """A step of a streamed layer and how many buffers each of its operands has."""

    box: Box
    buffers: int


def plan_strips(
    extents: Sequence[int], size_of: Callable[[Box], int], fixed: int, capacity: int, pieces: int = 8
) -> StripPlan:
    """A step of a layer that is read, computed and written in one stream.

    `size_of` is the bytes of one set of buffers, `fixed` what stays in SRAM. Two sets where they fit, so that
    transfers and computation overlap, in about `pieces` steps.
    """
    room = capacity - fixed
    whole = size_of(tuple(extents))
    wish = max(align(whole // pieces), 1024)
    for limit in (min(room // 2, wish), room // 2):
        try:
            box = largest_box(extents, size_of, limit)
        except DoesNotFit:
            continue
        return StripPlan(box, 1 if box == tuple(extents) else 2)
    try:
        return StripPlan(largest_box(extents, size_of, room), 1)
    except DoesNotFit as error:
        raise DoesNotFit(error.needed + fixed) from None


def boxes(extents: Sequence[int], box: Sequence[int]) -> Iterator[tuple[Box, Box]]:
    """The starts and extents of the steps, in row-major order."""
    ranges = [range(0, extent, step) for extent, step in zip(extents, box, strict=True)]
    for starts in itertools.product(*ranges):
        yield (
            starts,
            tuple(
                min(step, extent - start) for start, step, extent in zip(starts, box, extents, strict=True)
            ),
        )
