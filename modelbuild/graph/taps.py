"""How the taps of a window lie in windows of 3x3 or 1x1, an axis at a time.

A KPU layer pads its map by one cell, walks it cell by cell, and keeps every cell or, by its pool, every
second one. A wider window, or one that lies otherwise, becomes a layer on shifted copies of the map, side by
side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from modelbuild.formats.kmodel.kpu_geometry import LEAST, WIDEST


@dataclass(frozen=True)
class Window:
    """Of a convolution: two numbers each, but `pads`: top, left, bottom, right."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]


@lru_cache(maxsize=4096)
def layer_axes(
    size: tuple[int, ...], out: tuple[int, ...], window: Window, depthwise: bool, pooled: int
) -> tuple[Axis, Axis]:
    """Rows and columns of the layer that a convolution on a map of `size` becomes. With a stride of 2 where
    the pool makes it; larger and uneven ones are cut out behind a stride of 1."""
    stride = 2 if tuple(window.strides) == (2, 2) and not depthwise else 1
    places = [step // stride * (count - 1) + 1 for step, count in zip(window.strides, out, strict=True)]
    taps = [
        [tap * window.dilations[axis] - window.pads[axis] for tap in range(window.kernel[axis])]
        for axis in range(2)
    ]
    options = [
        tuple(plan_axis(size[axis], places[axis], taps[axis], stride, kernel, pooled) for axis in range(2))
        for kernel in (1, 3)
    ]
    counts = [tuple(len(axis.runs) for axis in option) for option in options]
    rows, columns = options[0] if counts[0] == counts[1] else options[1]
    return rows, columns


def span(start: int, size: int, held: int) -> tuple[int, int]:
    """Which of `held` cells a copy of `size` from `start` on has; no cells where the end is not behind."""
    return max(start, 0), min(start + size, held)


def rows_as_map(rows: int) -> tuple[int, int]:
    """Height and width of the map whose cells the rows of a matrix are."""
    height = max(LEAST, -(-rows // WIDEST))
    return height, max(LEAST, -(-rows // height))


@dataclass(frozen=True)
class Run:
    """Taps that one copy serves: cell r of the copy is cell r + `start` of the input. `taps`: number of the
    tap in its window -> place in the layer's window."""

    start: int
    taps: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Axis:
    """`size` cells of each copy; of the layer's cells, `count` from `first` on are the output."""

    runs: tuple[Run, ...]
    size: int
    first: int
    count: int
    stride: int

    @property
    def made(self) -> int:
        """The cells that the layer leaves."""
        return self.size // self.stride

    @property
    def is_whole(self) -> bool:
        """Whether the layer leaves the output and nothing else."""
        return self.first == 0 and self.made == self.count


def plan_axis(
    size: int, out: int, positions: Sequence[int], stride: int, kernel: int, pooled: int = 1
) -> Axis:
    """The fewest copies, and of these the ones that need the least beside the map. `positions`: the cell of
    the input, of `size` cells, that each tap meets at the first of `out` places; a place is `stride` (1 or 2)
    cells. `kernel`: 1 or 3. `pooled`: the stride of a pool behind the layer."""
    options = _layouts(positions, 1 if kernel == 1 else 3)
    planned = (_planned(size, out, positions, stride, runs, pooled) for runs in options)
    return min(planned, key=lambda axis: _cost(axis, size))


def _cost(axis: Axis, size: int) -> tuple[int, int, int]:
    same = sum(run.start == 0 and axis.size == size for run in axis.runs)
    return int(not axis.is_whole), axis.size, -same


_Layout = tuple[tuple[int, tuple[int, ...]], ...]  # centre, numbers of taps


def _layouts(positions: Sequence[int], width: int) -> Iterator[_Layout]:
    """All ways to cut the taps, in order, into as few runs of at most `width` cells as there can be."""
    count = len(positions)
    ends = [
        next((end for end in range(first, count) if positions[end] - positions[first] >= width), count)
        for first in range(count)
    ]
    least = [0] * (count + 1)  # runs for the taps from here on
    for first in reversed(range(count)):
        least[first] = 1 + least[ends[first]]

    def cut(first: int) -> Iterator[_Layout]:
        if first == count:
            yield ()
            return
        for stop in range(ends[first], max(first, ends[first] - width), -1):
            if least[stop] >= least[first]:
                continue
            numbers = tuple(range(first, stop))
            for rest in cut(stop):
                for centre in _centres(positions[first], positions[stop - 1], width):
                    yield (centre, numbers), *rest

    return cut(0)


def _centres(low: int, high: int, width: int) -> range:
    return range(low, low + 1) if width == 1 else range(high - 1, low + 2)


def _planned(
    size: int, out: int, positions: Sequence[int], stride: int, layout: _Layout, pooled: int
) -> Axis:
    before = after = 0
    for centre, numbers in layout:
        for number in numbers:
            place = positions[number] - centre
            if place < 0 and 0 <= positions[number] < size:
                before = max(stride, pooled)  # the border of the layer would stand for a cell of the map
            last = stride * (out - 1) + positions[number]
            if place > 0 and 0 <= last < size:
                after = 1
    least = before + (out + after if stride == 1 else stride * out)
    whole = max(least, LEAST)
    runs = tuple(
        Run(centre - before, tuple((number, positions[number] - centre) for number in numbers))
        for centre, numbers in layout
    )
    return Axis(runs, whole, before // stride, out, stride)
