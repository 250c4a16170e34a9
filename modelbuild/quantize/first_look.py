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
from modelbuild.quantize.extremes import Extremes, Numbers, centred, extremes_of

_LARGE = 1e28  # times 2^31 values it is below the largest float32
_SEEN = ("ReduceMin", "ReduceMax", "ReduceSum")
Sample = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Joined:
    """The channels of many tensors after one another: their smallest and largest values and sums."""

    low: Numbers
    high: Numbers
    total: Numbers


@dataclass(frozen=True)
class First:
    """What the first look sees in `samples`: the channels of `sizes` (tensor -> values a sample), each
    tensor's from one of `starts` on, and the sums of squared norms of what is `differentiated`, of `scores`
    without their mean along the axis."""

    sizes: Mapping[str, int]
    starts: NDArray[np.int64]
    channels: Joined
    powers: Mapping[str, float]
    samples: int = 1

    def merged(self, other: First) -> First:
        """Of the samples of both."""
        mine, its = self.channels, other.channels
        low, high = np.minimum(mine.low, its.low), np.maximum(mine.high, its.high)
        powers = {name: power + other.powers[name] for name, power in self.powers.items()}
        joined = Joined(low, high, mine.total + its.total)
        return First(self.sizes, self.starts, joined, powers, self.samples + other.samples)

    def ranges(self) -> NDArray[np.float64]:
        """The smallest and the largest value of each tensor, [tensors, 2]."""
        if not self.sizes:
            return np.zeros((0, 2))
        low = np.minimum.reduceat(self.channels.low, self.starts)
        return np.stack([low, np.maximum.reduceat(self.channels.high, self.starts)], axis=1)

    def extremes(self) -> dict[str, Extremes]:
        """Of each tensor."""
        found, ends = {}, [*self.starts[1:], len(self.channels.low)]
        for (name, size), start, end in zip(self.sizes.items(), self.starts, ends, strict=False):
            parts = (each[start:end] for each in (self.channels.low, self.channels.high, self.channels.total))
            found[name] = Extremes(size * self.samples, *parts)
        return found


class FirstLook:
    """The model with its tensors reduced to channels in the graph: a tensor that leaves it costs its memory
    anew in every run, which takes longer than the reductions. Of `melted` tensors, which have no grid, it is
    only seen whether they are finite."""

    def __init__(self, graph: Graph, melted: Collection[str] = frozenset()) -> None:
        self._graph = graph
        made = [name for node in graph.nodes for name in node.outputs if name]
        sizes = {name: math.prod(graph.shapes[name]) for name in (*graph.inputs, *made)}
        floats = [name for name, size in sizes.items() if size and graph.dtypes[name].kind == "f"]
        reduced = [name for name in floats if _is_reduced(graph, name)]
        self._apart = [name for name in floats if name not in reduced]  # looked at outside of the graph
        self._melted = [name for name in floats if name in melted]
        kept = [name for name in (*self._apart, *reduced) if name not in melted]
        self._sizes = {name: sizes[name] for name in kept}
        self._starts = _starts(graph, kept)
        self._ends, self._scores = [name for name in differentiated(graph) if name in floats], scores(graph)
        reductions = _Reductions(graph)
        joined = [name for name in kept if name in reduced]
        self._joined = [reductions.joined(op, joined) for op in _SEEN if joined]
        sums = [name for name in self._melted if name in reduced]
        self._sums = [reductions.joined("ReduceSum", sums)] if sums else []
        whole = [name for name in made if name in self._apart or name in self._ends]
        self._session = FloatSession(reductions.graph(whole), many=Many(optimized=True))

    def run(self, sample: Sample, label: str) -> First:
        """Of every float tensor. Raises (exit 1) for NaN and infinity, naming tensor and sample `label`."""
        inputs = {name: np.asarray(sample[name]) for name in self._graph.inputs}
        found = {**inputs, **(self._session.run(inputs) if self._session.outputs else {})}
        apart = {name: extremes_of(name, found[name], label) for name in self._apart}
        if not all(np.isfinite(found[name]).all() for name in self._sums):
            for name in self._melted:  # a sum may leave float32 where no value does
                extremes_of(name, self._values(name, inputs), label)
        kept = [apart[name] for name in self._apart if name in self._sizes]
        parts = ([each.low for each in kept], [each.high for each in kept], [each.total for each in kept])
        for part, name in zip(parts, self._joined, strict=False):
            part.append(found[name].astype(np.float64))
        seen = Joined(*(np.concatenate([np.zeros(0), *part]) for part in parts))
        norms = {name: _norm(centred(found[name], self._scores.get(name))) for name in self._ends}
        return First(self._sizes, self._starts, self._mended(seen, inputs, label), norms)

    def _mended(self, seen: Joined, inputs: Sample, label: str) -> Joined:
        """With the sums of numbers that are too large for float32. Raises for what is not finite."""
        largest = np.maximum(np.abs(seen.low), np.abs(seen.high))
        fine = (largest <= _LARGE) & np.isfinite(seen.total)  # a smallest value need not be NaN where one is
        for index in np.flatnonzero(~np.logical_and.reduceat(fine, self._starts)) if not fine.all() else ():
            name, start = list(self._sizes)[index], self._starts[index]
            found = extremes_of(name, self._values(name, inputs), label)
            part = slice(start, start + len(found.low))
            seen.low[part], seen.high[part], seen.total[part] = found.low, found.high, found.total
        return seen

    def _values(self, name: str, inputs: Sample) -> NDArray[Any]:
        return inputs[name] if name in inputs else FloatSession(self._graph, [name]).run(inputs)[name]


def _is_reduced(graph: Graph, name: str) -> bool:
    """Whether the graph reduces the tensor: float32 of some axes that a node makes."""
    return name not in graph.inputs and graph.dtypes[name] == np.float32 and len(graph.shapes[name]) > 1


def _starts(graph: Graph, names: Collection[str]) -> NDArray[np.int64]:
    """Where the channels of each begin (one where there are fewer than two axes)."""
    widths = [graph.shapes[name][1] if len(graph.shapes[name]) > 1 else 1 for name in names]
    return np.cumsum([0, *widths], dtype=np.int64)[:-1]


def _norm(values: NDArray[Any]) -> float:
    return float(np.square(values, dtype=np.float64).sum())


class _Reductions:
    """A graph that gives what the channels of many tensors reduce to."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._taken = tensors(graph) | {node.name for node in graph.nodes}
        self._constants = dict(graph.constants)
        self._behind: dict[str, list[Node]] = {}  # a tensor -> the nodes that reduce it
        self._joins: list[Node] = []
        self._shapes: dict[str, tuple[int, ...]] = {}

    def joined(self, op: str, names: Collection[str]) -> str:
        """The output that holds what `op` makes of each channel of the tensors, one tensor after another."""
        parts = [self._reduced(op, name) for name in names]
        made = fresh(f"{op}/joined", self._taken)
        self._joins.append(Node("Concat", made, parts, [made], {"axis": 0}))
        self._shapes[made] = (sum(self._graph.shapes[name][1] for name in names),)
        return made

    def graph(self, further: list[str]) -> Graph:
        """The graph that gives all these, and `further` tensors."""
        whole, nodes = self._graph, list[Node]()
        for node in whole.nodes:
            nodes += [node, *(late for name in node.outputs for late in self._behind.get(name, ()))]
        ends = [node.outputs[0] for node in self._joins]
        made = Graph(whole.name, nodes + self._joins, whole.inputs, [*ends, *further], self._constants)
        made.shapes, made.opset = whole.shapes | self._shapes, whole.opset
        made.dtypes = whole.dtypes | dict.fromkeys(self._shapes, np.dtype(np.float32))
        return made

    def _reduced(self, op: str, name: str) -> str:
        shape, made = self._graph.shapes[name], fresh(f"{name}/reduced", self._taken)
        axes = [axis for axis in range(len(shape)) if axis != 1]
        inputs, attributes = [name], dict[str, Attribute](keepdims=0)
        if op == "ReduceSum":  # the only one whose axes are an input before opset 18
            inputs.append(fresh(f"{name}/axes", self._taken))
            self._constants[inputs[1]] = np.array(axes, np.int64)
        else:
            attributes["axes"] = axes
        self._behind.setdefault(name, []).append(Node(op, made, inputs, [made], attributes))
        self._shapes[made] = shape[1:2]
        return made
