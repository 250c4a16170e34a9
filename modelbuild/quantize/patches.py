"""Some of what a weighted node multiplies: im2col patches at places that hang on the shapes alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Graph, Node, Shape
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.windows import explicit_pads, pair

PATCHES = 2048  # of all samples together, at most
FEWEST = 64
CELLS = 1 << 20  # of all patches of a node together, about
_KEY = 0x70617463  # of the generator; any number would do


@dataclass(frozen=True)
class Window:
    """Where a node reads its input. A Gemm reads rows; `kernel` is then empty."""

    shape: Shape  # of the input
    groups: int
    kernel: tuple[int, ...] = ()
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    out: tuple[int, int] = (1, 1)

    @property
    def width(self) -> int:
        """K: the numbers that one output is the weighted sum of."""
        return self.shape[-1] if not self.kernel else self.shape[1] // self.groups * math.prod(self.kernel)

    @property
    def places(self) -> int:
        """How many there are in one run."""
        return math.prod(self.shape[:-1]) if not self.kernel else self.shape[0] * math.prod(self.out)

    def chosen(self, sample: int, samples: int) -> NDArray[np.int64]:
        """The places of one of the samples, drawn with repetition: the same on every machine."""
        most = min(max(CELLS // (self.width * self.groups), FEWEST), PATCHES)
        return self.drawn(sample, -(-most // samples))

    def drawn(self, sample: int, count: int) -> NDArray[np.int64]:
        """At most `count` places of one of the samples; all, where there are no more."""
        count = min(count, self.places)
        if count == self.places:
            return np.arange(count)
        words = np.asarray(np.random.Philox(key=_KEY, counter=sample << 128).random_raw(count))
        return (words % np.uint64(self.places)).astype(np.int64)

    def patches(self, values: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
        """[n, groups, K] of an input; what is beyond its edges is 0."""
        if not self.kernel:
            return values.reshape(-1, 1, self.width)[places]
        pictures = values.reshape(self.shape[0], self.shape[1], *self._size())
        top, left, bottom, right = self.pads
        padded = np.pad(pictures, ((0, 0), (0, 0), (top, max(bottom, 0)), (left, max(right, 0))))
        picture, row, column = np.unravel_index(places, (self.shape[0], *self.out))
        down, across = (np.arange(size) for size in self.kernel)
        rows = (row * self.strides[0])[:, None] + down * self.dilations[0]
        columns = (column * self.strides[1])[:, None] + across * self.dilations[1]
        found = padded[picture[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        return np.moveaxis(found, 3, 1).reshape(len(places), self.groups, self.width)

    def _size(self) -> tuple[int, int]:
        return (1, self.shape[2]) if len(self.shape) == 3 else (self.shape[2], self.shape[3])


def window_of(graph: Graph, node: Node, found: Weighted, name: str) -> Window | None:
    """Where `node` reads its input `name`; None for nodes whose sums are no patches of it."""
    shape = graph.shapes[name]
    if node.op in ("Gemm", "MatMul"):
        return Window(shape, 1) if shape[-1] == found.weight.shape[1] else None
    if node.op != "Conv" or len(shape) not in (3, 4) or 0 in shape:
        return None
    axes = len(shape) - 2
    out = graph.shapes[node.outputs[0]][2:]
    return Window(
        shape,
        found.group,
        pair(found.weight.shape[2:], 1),
        pair(node.ints("strides", [1] * axes), 1),
        pair(node.ints("dilations", [1] * axes), 1),
        explicit_pads(node, shape[2:], found.weight.shape[2:], out),
        pair(out, 1),
    )
