"""The first look at a model's tensors: extremes and sums of every channel, of all values."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.fresh_names import fresh, tensors
from modelbuild.graph.gradient import differentiated, scores
from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.graph.session import FloatSession, Many
from modelbuild.quantize.finite import require_finite

_LARGE = 1e28  # times 2^31 values it is below the largest float32
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

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return float(self.low.min()), float(self.high.max())

    def merged(self, other: Extremes) -> Extremes:
        """Of the values of both."""
        return Extremes(
            self.count + other.count,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.total + other.total,
        )


@dataclass(frozen=True)
class First:
    """What the first look sees: extremes of tensors, and the squared norms of what is `differentiated`, of
    `scores` without their mean along the axis."""

    extremes: Mapping[str, Extremes]
    powers: Mapping[str, float]


class FirstLook:
    """The model with its tensors reduced to channels in the graph: a tensor that leaves it costs its memory
    anew in every run, which takes longer than the reductions. Of `melted` tensors, which have no grid, it is
    only seen whether they are finite."""

    def __init__(self, graph: Graph, melted: Collection[str] = frozenset()) -> None:
        self._graph = graph
        made = (name for node in graph.nodes for name in node.outputs if name)
        sizes = {name: math.prod(graph.shapes[name]) for name in (*graph.inputs, *made)}
        self._sizes = {name: size for name, size in sizes.items() if size and graph.dtypes[name].kind == "f"}
        self._ends, self._scores = differentiated(graph), scores(graph)
        reduced = [name for name in self._sizes if graph.dtypes[name] in _REDUCED]
        reductions = _Reductions(graph)
        self._four = {name: reductions.of_channels(name) for name in reduced if name not in melted}
        self._sums = {name: reductions.of_all(name) for name in reduced if name in melted}
        whole = [name for name in self._sizes if name not in reduced or name in self._ends]
        other = reductions.graph([name for name in whole if name not in graph.inputs])
        self._session = FloatSession(other, many=Many(optimized=True))

    def run(self, sample: Sample, label: str) -> First:
        """Of every float tensor. Raises (exit 1) for NaN and infinity, naming tensor and sample `label`."""
        inputs = {name: np.asarray(sample[name]) for name in self._graph.inputs}
        found = {**inputs, **(self._session.run(inputs) if self._session.outputs else {})}
        seen: dict[str, Extremes] = {}
        for name in self._sizes:
            if name not in self._sums:
                seen[name] = self._extremes(name, found, inputs, label)
            elif not np.isfinite(found[self._sums[name]]).all():
                extremes_of(name, self._values(name, inputs), label)
        ends = {name: found[name] for name in self._ends if name in self._sizes}
        norms = {name: _norm(centred(values, self._scores.get(name))) for name, values in ends.items()}
        return First(seen, norms)

    def _extremes(self, name: str, found: Sample, inputs: Sample, label: str) -> Extremes:
        if name not in self._four:
            return extremes_of(name, found[name], label)
        low, high, total = (found[end].reshape(-1).astype(np.float64, copy=False) for end in self._four[name])
        require_finite(name, np.concatenate((low, high)), label)
        if max(-low.min(), high.max()) > _LARGE:  # sums would leave float32
            return extremes_of(name, self._values(name, inputs), label)
        require_finite(name, total, label)  # a smallest value need not be NaN where one of them is
        return Extremes(self._sizes[name], low, high, total)

    def _values(self, name: str, inputs: Sample) -> NDArray[Any]:
        return inputs[name] if name in inputs else FloatSession(self._graph, [name]).run(inputs)[name]


def centred(values: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Without the mean along `axis`, which a Softmax does not see; as they are where there is none."""
    return values if axis is None else values - values.mean(axis=axis, keepdims=True, dtype=np.float64)


def _norm(values: NDArray[Any]) -> float:
    return float(np.square(values, dtype=np.float64).sum())


def extremes_of(name: str, values: NDArray[Any], label: str) -> Extremes:
    """Of one tensor in one sample. Raises (exit 1) for NaN and infinity, naming tensor and sample."""
    axes = values.ndim > 1
    rows = values.reshape(values.shape[0] if axes else 1, values.shape[1] if axes else 1, -1)
    low = rows.min(axis=2).min(axis=0).astype(np.float64)
    high = rows.max(axis=2).max(axis=0).astype(np.float64)
    require_finite(name, np.concatenate((low, high)), label)
    total = rows.astype(np.float64).sum(axis=2).sum(axis=0)
    return Extremes(values.size, low, high, total)


class _Reductions:
    """A graph that gives what its tensors reduce to."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._taken = tensors(graph) | {node.name for node in graph.nodes}
        self._constants = dict(graph.constants)
        self._behind: dict[str, list[Node]] = {}  # a tensor -> the nodes that reduce it
        self._shapes: dict[str, tuple[int, ...]] = {}

    def of_channels(self, name: str) -> tuple[str, str, str]:
        """The smallest, the largest and the sum of each channel."""
        shape = self._graph.shapes[name]
        axes = [0, *range(2, len(shape))] if len(shape) > 1 else list(range(len(shape)))
        return (
            self._node("ReduceMin", name, axes, shape[1:2]),
            self._node("ReduceMax", name, axes, shape[1:2]),
            self._node("ReduceSum", name, axes, shape[1:2]),
        )

    def of_all(self, name: str) -> str:
        """The sum of all values."""
        return self._node("ReduceSum", name, list(range(len(self._graph.shapes[name]))), ())

    def graph(self, further: list[str]) -> Graph:
        """The graph that gives all these, and `further` tensors."""
        whole = self._graph
        nodes = [late for name in whole.inputs for late in self._behind.get(name, ())]
        for node in whole.nodes:
            nodes += [node, *(late for name in node.outputs for late in self._behind.get(name, ()))]
        made = Graph(whole.name, nodes, whole.inputs, [*self._shapes, *further], self._constants)
        made.shapes, made.opset = whole.shapes | self._shapes, whole.opset
        dtypes = {end.outputs[0]: whole.dtypes[name] for name, ends in self._behind.items() for end in ends}
        made.dtypes = whole.dtypes | dtypes
        return made

    def _node(self, op: str, name: str, axes: list[int], shape: tuple[int, ...]) -> str:
        made = fresh(f"{name}/reduced", self._taken)
        inputs, attributes = [name], dict[str, Attribute](keepdims=0)
        if op == "ReduceSum":  # the only one whose axes are an input before opset 18
            inputs.append(fresh(f"{name}/axes", self._taken))
            self._constants[inputs[1]] = np.array(axes, np.int64)
        else:
            attributes["axes"] = axes
        self._behind.setdefault(name, []).append(Node(op, made, inputs, [made], attributes))
        self._shapes[made] = shape
        return made
