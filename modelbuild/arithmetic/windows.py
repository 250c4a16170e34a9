"""Sliding windows over pictures: sizes, padding, and the picture seen by each tap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
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

    def padded(self, picture: NDArray[Any], fill: int = 0) -> NDArray[Any]:
        """The picture [..., H, W] with `fill` around it."""
        if not any(self.pads):
            return picture
        top, left, bottom, right = self.pads
        height, width = picture.shape[-2:]
        framed = np.full(
            (*picture.shape[:-2], top + height + bottom, left + width + right), fill, picture.dtype
        )
        framed[..., top : top + height, left : left + width] = picture
        return framed

    def taps(self, padded: NDArray[Any]) -> Iterator[tuple[Pair, NDArray[Any]]]:
        """For each tap (i, j), the cells that it meets, as a view [..., H', W']."""
        for i in range(self.kernel[0]):
            rows = span(i * self.dilations[0], self.strides[0], self.out[0])
            for j in range(self.kernel[1]):
                columns = span(j * self.dilations[1], self.strides[1], self.out[1])
                yield (i, j), padded[..., rows, columns]


def span(start: int, stride: int, count: int) -> slice:
    """`count` places from `start`, `stride` apart."""
    return slice(start, start + stride * (count - 1) + 1, stride)


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
