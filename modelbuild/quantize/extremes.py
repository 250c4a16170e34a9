"""The first look at a model's tensors: extremes, sums and squares of every channel, of all values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.fresh_names import fresh, tensors
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.finite import require_finite

_LARGE = 1e12  # its square times 2^31 values is below the largest float32
_REDUCED = (np.dtype(np.float32), np.dtype(np.float64))  # what onnxruntime has these reductions for

Numbers = NDArray[np.float64]
Sample = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Extremes:
    """One tensor's channels (axis 1; one channel for tensors of fewer axes), and how many values it has."""

    count: int
    low: Numbers
    high: Numbers
    total: Numbers
    square: Numbers

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return float(self.low.min()), float(self.high.max())

    def power(self, samples: int) -> float:
        """The mean over `samples` of the squared norm."""
        return float(self.square.sum() / samples)

    def merged(self, other: Extremes) -> Extremes:
        """Of the values of both."""
        return Extremes(
            self.count + other.count,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.total + other.total,
            self.square + other.square,
        )


class FirstLook:
    """The model with its tensors reduced to channels in the graph: a tensor that leaves it costs its memory
    anew in every run, which takes longer than the reductions."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        made = (name for node in graph.nodes for name in node.outputs if name)
        sizes = {name: math.prod(graph.shapes[name]) for name in (*graph.inputs, *made)}
        self._sizes = {name: size for name, size in sizes.items() if size and graph.dtypes[name].kind == "f"}
        reduced = [name for name in self._sizes if graph.dtypes[name] in _REDUCED]
        self._ends, other = _with_reductions(graph, reduced)
        other.outputs += [name for name in self._sizes if name not in (*reduced, *graph.inputs)]
        self._session = FloatSession(other)

    def run(self, sample: Sample, label: str) -> dict[str, Extremes]:
        """Of every float tensor. Raises (exit 1) for NaN and infinity, naming tensor and sample `label`."""
        inputs = {name: np.asarray(sample[name]) for name in self._graph.inputs}
        found = {**inputs, **(self._session.run(inputs) if self._session.outputs else {})}
        return {name: self._extremes(name, found, inputs, label) for name in self._sizes}

    def _extremes(self, name: str, found: Sample, inputs: Sample, label: str) -> Extremes:
        if name not in self._ends:
            return extremes_of(name, found[name], label)
        low, high, total, square = (
            found[end].reshape(-1).astype(np.float64, copy=False) for end in self._ends[name]
        )
        require_finite(name, np.concatenate((low, high)), label)
        if max(-low.min(), high.max()) > _LARGE:  # sums would leave float32
            values = inputs[name] if name in inputs else FloatSession(self._graph, [name]).run(inputs)[name]
            return extremes_of(name, values, label)
        require_finite(name, total, label)  # a smallest value need not be NaN where one of them is
        return Extremes(self._sizes[name], low, high, total, square)


def extremes_of(name: str, values: NDArray[Any], label: str) -> Extremes:
    """Of one tensor in one sample. Raises (exit 1) for NaN and infinity, naming tensor and sample."""
    axes = values.ndim > 1
    rows = values.reshape(values.shape[0] if axes else 1, values.shape[1] if axes else 1, -1)
    low = rows.min(axis=2).min(axis=0).astype(np.float64)
    high = rows.max(axis=2).max(axis=0).astype(np.float64)
    require_finite(name, np.concatenate((low, high)), label)
    rows = rows.astype(np.float64)
    total = rows.sum(axis=2).sum(axis=0)
    square = np.einsum("ncl,ncl->nc", rows, rows).sum(axis=0)
    return Extremes(values.size, low, high, total, square)


def _with_reductions(graph: Graph, names: list[str]) -> tuple[dict[str, tuple[str, ...]], Graph]:
    """Tensor -> its smallest, largest, sum and sum of squares a channel, and the graph that gives them."""
    taken = tensors(graph) | {node.name for node in graph.nodes}
    made = Graph(graph.name, [], graph.inputs, [], dict(graph.constants))
    made.shapes, made.dtypes, made.opset = dict(graph.shapes), dict(graph.dtypes), graph.opset
    ends: dict[str, tuple[str, ...]] = {}
    behind: dict[str, list[Node]] = {}
    for name in names:
        rank = len(graph.shapes[name])
        axes = [0, *range(2, rank)] if rank > 1 else list(range(rank))
        over = fresh(f"{name}/axes", taken)
        made.constants[over] = np.array(axes, np.int64)
        low, high, total, squares, square = (fresh(f"{name}/reduced", taken) for _ in range(5))
        behind[name] = [
            Node("ReduceMin", low, [name], [low], {"axes": axes, "keepdims": 0}),
            Node("ReduceMax", high, [name], [high], {"axes": axes, "keepdims": 0}),
            Node("ReduceSum", total, [name, over], [total], {"keepdims": 0}),
            Node("Mul", squares, [name, name], [squares]),
            Node("ReduceSum", square, [squares, over], [square], {"keepdims": 0}),
        ]
        ends[name] = (low, high, total, square)
        made.shapes |= dict.fromkeys(ends[name], graph.shapes[name][1:2]) | {squares: graph.shapes[name]}
        made.dtypes |= dict.fromkeys((*ends[name], squares), graph.dtypes[name])
    made.outputs = [end for four in ends.values() for end in four]
    made.nodes = [late for name in graph.inputs for late in behind.get(name, ())]
    for node in graph.nodes:
        made.nodes += [node, *(late for name in node.outputs for late in behind.get(name, ()))]
    return ends, made
