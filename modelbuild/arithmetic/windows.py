"""Sliding windows over pictures: sizes, and padded pictures whose cells one tap meets lie side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A window of `kernel` taps; `pads` are top, left, bottom, right; `out` is rows and columns made."""

    kernel: Pair
    strides: Pair
    dilations: Pair
    pads: tuple[int, int, int, int]
    out: Pair

    @property
    def is_pointwise(self) -> bool:
        """One tap that meets every cell once."""
        return self.kernel == (1, 1) and self.strides == (1, 1) and not any(self.pads)


class Tap(NamedTuple):
    """Where the cells that a tap meets begin: which plane, and which place in it."""

    plane: int
    place: int


class Axis:
    """One axis of padded pictures split by the stride.

    Plane a holds the cells a, a + stride, ... if a tap meets them, so that what a tap meets over all windows
    is a run of neighbours in one plane.
    """

    def __init__(self, window: Window, axis: int, size: int) -> None:
        self.stride = window.strides[axis] if window.out[axis] > 1 else 1  # one window: one plane does
        self.pad, self.size = window.pads[axis], size
        met = [divmod(tap * window.dilations[axis], self.stride) for tap in range(window.kernel[axis])]
        self.phases = sorted({phase for _, phase in met})
        self.taps = [Tap(self.phases.index(phase), place) for place, phase in met]
        self.reach = max(place for place, _ in met)  # cells of a plane beyond one a window

    def parts(self, start: int, windows: int) -> list[tuple[slice, slice]]:
        """For each plane, over `windows` windows from `start` on: which places the picture fills, and with
        which cells."""
        return [self._part(phase, start, windows + self.reach) for phase in self.phases]

    def _part(self, phase: int, start: int, count: int) -> tuple[slice, slice]:
        at = start * self.stride + phase - self.pad  # of place 0 in the picture
        first = max(0, -(at // self.stride))
        end = max(first, min(count, (self.size - 1 - at) // self.stride + 1))
        return slice(first, end), slice(at + first * self.stride, max(at + end * self.stride, 0), self.stride)


class Planes:
    """Pictures [C, H, W], padded and split by both strides."""

    def __init__(self, window: Window, picture: tuple[int, ...]) -> None:
        self.window = window
        self.rows, self.columns = (Axis(window, axis, picture[axis]) for axis in range(2))
        self.width = window.out[1] + self.columns.reach
        self._column_parts = self.columns.parts(0, window.out[1])

    def flat_taps(self) -> list[Tap]:
        """The kernel's taps, row by row, on planes as flat lines one after the other."""
        return [
            Tap(down.plane * len(self._column_parts) + along.plane, down.place * self.width + along.place)
            for down in self.rows.taps
            for along in self.columns.taps
        ]

    def shape(self, channels: int, rows: int) -> tuple[int, ...]:
        """[row planes, column planes, channels, height, width] for that many rows of windows."""
        height = rows + self.rows.reach
        return len(self.rows.phases), len(self._column_parts), channels, height, self.width

    def load(self, x: NDArray[Any], start: int, fill: int, planes: NDArray[Any]) -> NDArray[Any]:
        """`planes`, of `shape`, filled with what the rows of windows from `start` on meet."""
        parts = self.rows.parts(start, planes.shape[3] - self.rows.reach)
        covered = [to for to, _ in parts], [to for to, _ in self._column_parts]
        whole = [slice(0, planes.shape[3])] * len(parts), [slice(0, self.width)] * len(self._column_parts)
        if covered != whole:
            planes.fill(fill)
        for plane, (to_rows, from_rows) in zip(planes, parts, strict=True):
            for cells, (to_columns, from_columns) in zip(plane, self._column_parts, strict=True):
                cells[:, to_rows, to_columns] = x[:, from_rows, from_columns]
        return planes

    def blocks(self, channels: int, most: int) -> Iterator[tuple[slice, slice]]:
        """Channels and rows of windows in blocks with planes of about `most` cells: whole channels where one
        fits, else strips of one channel."""
        rows, reach = self.window.out[0], self.rows.reach
        row_cost = len(self.rows.phases) * len(self._column_parts) * self.width
        strip = min(rows, max(1, reach, most // row_cost - reach))
        together = max(1, most // ((rows + reach) * row_cost))
        for channel in range(0, channels, together):
            for row in range(0, rows, strip):
                yield slice(channel, min(channel + together, channels)), slice(row, min(row + strip, rows))


def extent(size: int, kernel: int, stride: int, pads: Pair, dilation: int) -> int:
    """How many windows fit along one axis."""
    return (size + sum(pads) - dilation * (kernel - 1) - 1) // stride + 1


def extents(
    shape: tuple[int, ...], kernel: Pair, strides: Pair, dilations: Pair, pads: tuple[int, ...]
) -> Pair:
    """Rows and columns of windows over a picture [..., H, W]."""
    rows = extent(shape[-2], kernel[0], strides[0], (pads[0], pads[2]), dilations[0])
    columns = extent(shape[-1], kernel[1], strides[1], (pads[1], pads[3]), dilations[1])
    return rows, columns


def window_of(bound: Bound, kernel: tuple[int, ...]) -> Window:
    """The window of an operator; one without `dilations` has none."""
    strides = bound.numbers("strides")
    dilations = bound.numbers("dilations") if "dilations" in bound.operator.parameters else (1, 1)
    top, left, bottom, right = bound.numbers("pads")
    sides = (kernel[0], kernel[1]), (strides[0], strides[1]), (dilations[0], dilations[1])
    pads = (top, left, bottom, right)
    return Window(*sides, pads, extents(bound.inputs[0].shape, *sides, pads))
