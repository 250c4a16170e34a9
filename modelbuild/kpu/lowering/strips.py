"""Maps that one layer cannot hold: part by part, strips of rows and where it must be of columns, each with
the cells around it that its windows meet. Every byte is the one that a layer of the whole map would leave."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise, product
from typing import NamedTuple

from modelbuild.formats.kmodel.kpu_geometry import LEAST, TALLEST, WIDEST
from modelbuild.formats.kmodel.kpu_registers import POOL_STRIDES, POOLS, map_bytes
from modelbuild.formats.kmodel.records import number

_MOST_PARTS = 64  # along an axis
_ENOUGH = 4  # ways that are compared
_POOL_WINDOWS = {
    "max_2_s2": 2,
    "mean_2_s2": 2,
    "max_4_s4": 4,
    "mean_4_s4": 4,
    "mean_2_s1": 2,
    "max_2_s1": 2,
}


class Steps(NamedTuple):
    """How a layer goes down an axis: `border` cells around a place, `pooled` places a cell of the result,
    `stride` places from one to the next; and which of these are kept: `first`, every `step`th, `kept`."""

    border: int
    pooled: int
    stride: int
    first: int
    step: int
    kept: int


class Span(NamedTuple):
    """Cells `start` to `end` of the input make `made` cells, of which those from `skip` on are `kept` of the
    result."""

    start: int
    end: int
    made: int
    skip: int
    kept: int

    @property
    def size(self) -> int:
        """Cells of the input."""
        return self.end - self.start


class Part(NamedTuple):
    """Rows and columns."""

    rows: Span
    columns: Span


class Shapes(NamedTuple):
    """Of a layer that is to be divided: batches and channels of both maps, rows and columns of its input."""

    batches: int
    channels: int
    outputs: int
    height: int
    width: int


def steps(kernel: int, pool: str, result: tuple[int, int, int]) -> Steps:
    """Along one axis; `result`: first, step and count of the cells that are the result."""
    return Steps(
        kernel // 2, _POOL_WINDOWS.get(pool, 1), POOL_STRIDES[number(POOLS, pool, "pool of a layer")], *result
    )


def spans(size: int, axis: Steps, parts: int) -> tuple[Span, ...]:
    """The result in so many parts, as even as can be."""
    ends = [axis.kept * number // parts for number in range(parts + 1)]
    return tuple(_span(size, axis, *pair) for pair in pairwise(ends))


def _span(size: int, axis: Steps, begin: int, stop: int) -> Span:
    stride = axis.stride
    first = axis.first + axis.step * begin
    last = axis.first + axis.step * (stop - 1)
    start = max(0, (stride * first - axis.border) // stride * stride)
    end = min(size, stride * last + max(axis.pooled + axis.border, stride))
    if end - start < LEAST:
        start = max(0, (end - LEAST) // stride * stride)
        end = max(end, min(size, start + LEAST))
    return Span(start, end, (end - start) // stride, first - start // stride, stop - begin)


@lru_cache(maxsize=256)
def divided(shapes: Shapes, axes: tuple[Steps, Steps], ram: int) -> tuple[Part, ...] | None:
    """The parts by which the fewest cells move; None where not even one output channel of small ones fits
    `ram` bytes."""
    for outputs in (shapes.outputs, 1):
        options = list(_options(shapes._replace(outputs=outputs), axes, ram))
        if options:
            best = min(options, key=lambda option: _moved(shapes, option))
            return tuple(Part(*pair) for pair in product(*best))
    return None


Option = tuple[tuple[Span, ...], tuple[Span, ...]]  # rows, columns


def _options(shapes: Shapes, axes: tuple[Steps, Steps], ram: int) -> Iterator[Option]:
    """For some numbers of parts of a row, the fewest rows' that fit."""
    rows, columns = axes
    found = 0
    for across in range(1, min(_MOST_PARTS, columns.kept) + 1):
        wide = spans(shapes.width, columns, across)
        for down in range(1, min(_MOST_PARTS, rows.kept) + 1):
            high = spans(shapes.height, rows, down)
            if _fit(shapes, high, wide, ram):
                yield high, wide
                found += 1
                break
        if found == _ENOUGH:
            return


def _fit(shapes: Shapes, rows: tuple[Span, ...], columns: tuple[Span, ...], ram: int) -> bool:
    (height, high), (width, wide) = (
        (max(each.size for each in axis), max(each.made for each in axis)) for axis in (rows, columns)
    )
    needed = map_bytes(width, height, shapes.channels) + map_bytes(wide, high, shapes.outputs)
    return height <= TALLEST and width <= WIDEST and shapes.batches * needed <= ram


def _moved(shapes: Shapes, option: Option) -> int:
    """Cells that go to the KPU, and come back."""
    rows, columns = option
    read = sum(each.size for each in rows) * sum(each.size for each in columns)
    made = sum(each.made for each in rows) * sum(each.made for each in columns)
    return shapes.channels * read + shapes.outputs * made
