"""The first look at a model's tensors: extremes and sums of every channel, of all values."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
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

    def put(self, start: int, found: Extremes) -> None:
        """One tensor's channels, from `start` on."""
        part = slice(start, start + len(found.low))
        self.low[part], self.high[part], self.total[part] = found.low, found.high, found.total


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
        self._floats = [name for name, size in sizes.items() if size and graph.dtypes[name].kind == "f"]
        reduced = [name for name in self._floats if _is_reduced(graph, name)]
        self._apart = [name for name in self._floats if name not in reduced]  # looked at outside of the graph
        self._melted = [name for name in reduced if name in melted]
        self._joined = [name for name in reduced if name not in melted]
        kept = [*(name for name in self._apart if name not in melted), *self._joined]
        self._sizes = {name: sizes[name] for name in kept}
        self._starts = dict(zip(kept, _starts(graph, kept).tolist(), strict=True))
        self._ends = [name for name in differentiated(graph) if name in self._floats]
        self._scores = scores(graph)
        reductions = _Reductions(graph)
        self._rows = [reductions.joined(op, self._joined) for op in _SEEN if self._joined]
        self._sums = [reductions.joined("ReduceSum", self._melted)] if self._melted else []
        whole = [name for name in made if name in self._apart or name in self._ends]
        looked = reductions.graph(whole)
        self._session = FloatSession(looked, many=Many(optimized=True)) if looked.outputs else None

    def run(self, sample: Sample, label: str) -> First:
        """Of every float tensor. Raises (exit 1) for NaN and infinity, naming the first tensor that holds
        them, and the sample by `label`."""
        inputs = {name: np.asarray(sample[name]) for name in self._graph.inputs}
        found = {**inputs, **(self._session.run(inputs) if self._session else {})}
        rows = [found[name].astype(np.float64) for name in self._rows]
        suspects = self._suspects(found, rows)
        exact = {
            name: extremes_of(name, self._values(name, inputs), label)
            for name in (self._floats if suspects else ())
            if name in suspects
        }
        apart = [extremes_of(name, found[name], label) for name in self._apart if name in self._sizes]
        parts = ([each.low for each in apart], [each.high for each in apart], [each.total for each in apart])
        for part, row in zip(parts, rows, strict=False):
            part.append(row)
        seen = Joined(*(np.concatenate([np.zeros(0), *part]) for part in parts))
        for name in exact.keys() & set(self._joined):
            seen.put(self._starts[name], exact[name])
        norms = {name: _norm(centred(found[name], self._scores.get(name))) for name in self._ends}
        return First(self._sizes, np.array([*self._starts.values()], np.int64), seen, norms)

    def _suspects(self, found: Sample, rows: Sequence[Numbers]) -> set[str]:
        """Tensors that hold NaN or infinity, or numbers whose sums are too large for float32."""
        names = {name for name in self._apart if not np.isfinite(found[name]).all()}
        for sums in self._sums:
            names |= self._at(self._melted, ~np.isfinite(found[sums]))
        if rows:
            low, high, total = rows
            fine = (np.maximum(np.abs(low), np.abs(high)) <= _LARGE) & np.isfinite(total)
            names |= self._at(self._joined, ~fine)  # a smallest value need not be NaN where one of them is
        return names

    def _at(self, names: Sequence[str], bad: NDArray[np.bool_]) -> set[str]:
        """Of tensors after one another, those with a bad channel."""
        if not bad.any():
            return set()
        seen = np.logical_or.reduceat(bad, _starts(self._graph, names))
        return {name for name, one in zip(names, seen, strict=True) if one}

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
