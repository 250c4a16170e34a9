"""How the taps of a window lie in windows of 3x3 or 1x1, an axis at a time.

A KPU layer pads its map by one cell, walks it cell by cell, and keeps every cell or, by its pool, every
second one. A wider window, or one that lies otherwise, becomes a layer on shifted copies of the map, side by
side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LEAST = 4  # rows and columns of a map in the KPU


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
    planned = [_planned(size, out, positions, stride, runs, pooled) for runs in options]
    fewest = min(len(axis.runs) for axis in planned)
    return min((axis for axis in planned if len(axis.runs) == fewest), key=lambda axis: _cost(axis, size))


def _cost(axis: Axis, size: int) -> tuple[int, int, int]:
    same = sum(run.start == 0 and axis.size == size for run in axis.runs)
    return int(not axis.is_whole), axis.size, -same


_Layout = tuple[tuple[int, tuple[int, ...]], ...]  # centre, numbers of taps


def _layouts(positions: Sequence[int], width: int) -> Iterator[_Layout]:
    """All ways to cut the taps, in order, into runs of at most `width` cells."""

    def cut(first: int) -> Iterator[_Layout]:
        if first == len(positions):
            yield ()
            return
        end = first
        while end < len(positions) and positions[end] - positions[first] < width:
            end += 1
        for stop in range(end, max(first, end - width), -1):
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
