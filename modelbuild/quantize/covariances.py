"""What the patches have in common that a model's first layers read: covariances over calibration samples.

Sums are of whole numbers below 2^53, and the same in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession, Many
from modelbuild.quantize.looking import Sample, Samples
from modelbuild.quantize.patches import CELLS
from modelbuild.quantize.readers import Reader, readers

PATCHES = 8192  # of all samples together, about
LEVELS = 1 << 16  # between the extremes of a tensor, 0 among them
Real = NDArray[np.float64]


@dataclass
class _Sums:
    """Of codes [groups, K], which lie around the middle of the tensor's range, and of their products."""

    reader: Reader
    middle: float
    step: float
    count: int
    total: Real
    square: Real

    def add(self, values: NDArray[Any], sample: int, samples: int) -> None:
        window = self.reader.window
        most = max(CELLS // (window.width * window.groups), 1)
        places = window.drawn(sample, min(-(-PATCHES // samples), most))
        patches = window.patches(values, places).astype(np.float64)
        codes = np.rint((patches - self.middle) / self.step).transpose(1, 2, 0)
        self.count += len(places)
        self.total += codes.sum(axis=2)
        self.square += codes @ np.swapaxes(codes, 1, 2)

    def covariance(self) -> Real:
        mean = self.total / self.count
        product = self.square / self.count - mean[:, :, None] * mean[:, None, :]
        return np.asarray(product * self.step**2)


@dataclass
class Covariances:
    """Counted while samples pass. `ranges`: the smallest and the largest value of each tensor."""

    graph: Graph
    ranges: Mapping[str, tuple[float, float]]
    samples: int
    _sums: list[_Sums] = field(default_factory=list)
    _session: FloatSession | None = None

    def __post_init__(self) -> None:
        for reader in readers(self.graph):
            low, high = self.ranges.get(reader.tensor, (0.0, 0.0))
            low, high = min(low, 0.0), max(high, 0.0)
            if high > low:
                step = high / LEVELS - low / LEVELS
                self._sums.append(_Sums(reader, low / 2 + high / 2, step, 0, *_zeros(reader)))
        made = sorted({each.reader.tensor for each in self._sums} - {*self.graph.inputs})
        self._session = FloatSession(first_nodes(self.graph, made), many=Many()) if made else None

    def watching(self, samples: Samples, numbers: Iterable[int]) -> Iterator[tuple[int, Sample]]:
        """The samples of these numbers, each counted before it is given."""
        for number in numbers:
            self._add(number, sample := samples[number])
            yield number, sample

    def found(self) -> dict[str, Real]:
        """Key of a reader -> [groups, K, K], in the tensor's unit squared."""
        return {each.reader.key: each.covariance() for each in self._sums if each.count}

    def _add(self, number: int, sample: Sample) -> None:
        held = {name: np.asarray(sample[name]) for name in self.graph.inputs}
        if self._session is not None:
            held |= self._session.run({name: held[name] for name in self.graph.inputs})
        for each in self._sums:
            each.add(held[each.reader.tensor], number, self.samples)


def _zeros(reader: Reader) -> tuple[Real, Real]:
    return np.zeros(reader.shape[:2]), np.zeros(reader.shape)


def first_nodes(graph: Graph, outputs: list[str]) -> Graph:
    """The part of a graph that makes `outputs`."""
    needed, nodes = {*outputs}, list[Node]()
    for node in reversed(graph.nodes):
        if needed & {*node.outputs}:
            needed |= {*node.inputs}
            nodes.insert(0, node)
    constants = {name: value for name, value in graph.constants.items() if name in needed}
    made = Graph(graph.name, nodes, graph.inputs, outputs, constants)
    made.shapes, made.dtypes, made.opset = graph.shapes, graph.dtypes, graph.opset
    return made
