"""Which channels of which tensors must be scaled alike: the structure of cross-layer equalisation.

Decided from the lowered graph alone, so that `quantize` and `apply` agree on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.distinct import distinct
from modelbuild.graph.kept_quantization import kept
from modelbuild.graph.model import Graph
from modelbuild.quantize import channel_moves as moves
from modelbuild.quantize.plan import Plan, Step, constant_bounds, shares
from modelbuild.quantize.selecting import selected
from modelbuild.quantize.source_quantization import of_roots
from modelbuild.quantize.weighted import weighted

Ids = NDArray[Any]  # whole numbers
FIXED = 0  # the id of channels that nothing may scale


@dataclass(frozen=True)
class Channels:
    """`ids`: tensor -> an id for each channel (axis 1); or for each cell, as many axes as the tensor has,
    where a Reshape or Transpose leaves several channels in one place of axis 1 (as in a shuffle).
    Channels of one id have one factor, those of `FIXED` none. `made`: the tensors that weighted operators
    leave, whose factors are free; `bounds`: what the Clip behind a tensor lets through."""

    ids: Mapping[str, Ids]
    made: tuple[str, ...]
    bounds: Mapping[str, tuple[float, float]]
    count: int  # of ids

    @classmethod
    def none(cls) -> Channels:
        """Of a model in which nothing is scaled."""
        return cls({}, (), {}, FIXED + 1)


def channels_of(graph: Graph, plan: Plan) -> Channels:
    """Follows channels through the graph. A source's own quantization is left alone."""
    ties = _Ties(graph)
    made: list[str] = []
    bounds: dict[str, tuple[float, float]] = {}
    for name in graph.inputs:
        ties.fix(name)
    for step in plan.steps:
        if _follow(ties, step):
            made.append(step.outputs[0])
        if any(0 < abs(end) < np.inf for end in step.bounds):
            bounds[step.outputs[0]] = step.bounds
    for name in (*graph.outputs, *_of_the_source(graph, plan)):
        ties.fix(name)
    ids, count = ties.resolved()
    return Channels(ids, tuple(made), bounds, count)


def _of_the_source(graph: Graph, plan: Plan) -> list[str]:
    """Tensors whose scale is the source's, and those around weights that are."""
    entries = kept(graph)
    if not entries:
        return []
    roots = of_roots(entries, graph, plan)
    found = [name for name in plan.tensors(graph) if plan.root(name) in roots]
    for step in plan.steps:
        names = [name for node in step.nodes for name in node.inputs]
        if any(name in entries and name in graph.constants for name in names):
            found += [*(name for name in names if name in plan.tensors(graph)), *step.outputs]
    return found


class _Ties:
    """Union-find over channels; a set that holds `FIXED` has it as its root."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ids: dict[str, Ids] = {}
        self._parents = [FIXED]

    def fresh(self, name: str) -> None:
        """A tensor whose channels are free."""
        shape = self.graph.shapes[name]
        count = shape[1] if len(shape) > 1 else 1
        self.ids[name] = np.arange(len(self._parents), len(self._parents) + count)
        self._parents += self.ids[name].tolist()

    def tie(self, first: Ids, second: Ids) -> None:
        """Channel by channel; one channel stands for all of the other's."""
        for a, b in zip(*np.broadcast_arrays(first, second), strict=True):
            low, high = sorted((self._root(int(a)), self._root(int(b))))
            self._parents[high] = low

    def fix(self, name: str) -> None:
        """A tensor that stays as it is."""
        if name not in self.ids:
            self.fresh(name)
        ids = self.ids[name]
        self.tie(distinct(ids), np.array([FIXED]))
        if ids.ndim > 1:
            self.ids[name] = np.full(self.graph.shapes[name][1], FIXED)

    def resolved(self) -> tuple[dict[str, Ids], int]:
        """Roots instead of ids."""
        roots = np.array([self._root(number) for number in range(len(self._parents))], np.int64)
        return {name: roots[ids] for name, ids in self.ids.items()}, len(roots)

    def _root(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number


def _follow(ties: _Ties, step: Step) -> bool:
    """The outputs of one step; whether their factors are free."""
    node, graph = step.node, ties.graph
    given = [name for name in node.inputs if name in ties.ids]
    low, high = step.bounds
    found = weighted(graph, node) if len(given) == 1 else None
    by_cell = any(ties.ids[name].ndim > 1 for name in given) and node.op not in moves.MOVES
    if low > 0 or high < 0 or by_cell:  # a bound that moves with no factor
        rule: _Rule | None = None
    elif found is not None and shares(graph, step):
        rule = _select
    elif found is not None and found.multiplies(graph.shapes[given[0]]):
        for name in step.outputs:
            ties.fresh(name)
        return True
    else:
        rule = _RULES.get(node.op) if found is None else None
    if rule is None or not given or not rule(ties, step):
        for name in (*given, *step.outputs):
            ties.fix(name)
    return False


_Rule = Callable[[_Ties, Step], bool]


def _same(ties: _Ties, step: Step) -> bool:
    """f(a x) = a f(x) for a > 0, channel by channel."""
    ties.ids[step.outputs[0]] = ties.ids[step.node.inputs[0]]
    return len(step.outputs) == 1


def _select(ties: _Ties, step: Step) -> bool:
    """Channels that are copied."""
    channels = selected(ties.graph, step.node)
    ties.ids[step.outputs[0]] = ties.ids[step.node.inputs[0]][channels]
    return True


def _clip(ties: _Ties, step: Step) -> bool:
    return constant_bounds(ties.graph, step.node) is not None and _same(ties, step)


def _pad(ties: _Ties, step: Step) -> bool:
    """Padding of 0, of no channels."""
    node, graph = step.node, ties.graph
    named = node.inputs[2] if len(node.inputs) > 2 else ""
    value = graph.constants.get(named, np.zeros(1)) if named in graph.constants or not named else np.ones(1)
    same = graph.shapes[node.inputs[0]][:2] == graph.shapes[node.outputs[0]][:2]
    return same and not value.any() and _same(ties, step)


def _resize(ties: _Ties, step: Step) -> bool:
    shapes = ties.graph.shapes
    return shapes[step.node.inputs[0]][:2] == shapes[step.node.outputs[0]][:2] and _same(ties, step)


def _sum(ties: _Ties, step: Step) -> bool:
    """Two activations of one rank; of one channel, all channels are tied to it."""
    a, b = step.node.inputs
    if a not in ties.ids or b not in ties.ids:
        return False
    if len(ties.graph.shapes[a]) != len(ties.graph.shapes[b]):
        return False
    ties.tie(ties.ids[a], ties.ids[b])
    ties.ids[step.outputs[0]] = max(ties.ids[a], ties.ids[b], key=len)
    return True


def _product(ties: _Ties, step: Step) -> bool:
    """A number as it is; of two activations the second (or the smaller, a gate) stays as it is."""
    graph, given = ties.graph, step.node.inputs
    if any(name in graph.constants for name in given):
        x, constant = sorted(given, key=lambda name: name in graph.constants)
        if graph.constants[constant].size != 1 or x in graph.constants:
            return False
        ties.ids[step.outputs[0]] = ties.ids[x]
        return graph.shapes[x] == graph.shapes[step.outputs[0]]
    x, gate = sorted(given, key=lambda name: -int(np.prod(graph.shapes[name])))
    if x == gate or graph.shapes[x] != graph.shapes[step.outputs[0]]:
        return False
    ties.fix(gate)
    ties.ids[step.outputs[0]] = ties.ids[x]
    return True


def _concat(ties: _Ties, step: Step) -> bool:
    node, graph = step.node, ties.graph
    axis = node.int("axis", 0) % len(graph.shapes[node.outputs[0]])
    if any(name not in ties.ids for name in node.inputs):
        return False
    parts = [ties.ids[name] for name in node.inputs]
    if axis != 1:
        for part in parts[1:]:
            ties.tie(parts[0], part)
        parts = parts[:1]
    ties.ids[node.outputs[0]] = np.concatenate(parts)
    return True


def _moved(ties: _Ties, step: Step) -> bool:
    """Cells that change places, and take their ids along."""
    node, graph = step.node, ties.graph
    shape = graph.shapes[node.inputs[0]]
    if len(shape) < 2:
        return False
    moved = moves.moved(graph, node, moves.spread(ties.ids[node.inputs[0]], shape))
    if [cells.shape for cells in moved] != [graph.shapes[name] for name in step.outputs]:
        return False
    if any(cells.ndim < 2 or not cells.size for cells in moved):
        return False
    for name, cells in zip(step.outputs, moved, strict=True):
        ties.ids[name] = moves.packed(cells)
    return node.op in moves.WHOLE or all(ties.ids[name].ndim == 1 for name in step.outputs)


_ALIKE = ("Relu", "LeakyRelu", "PRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(_ALIKE, _same),
    **dict.fromkeys(moves.MOVES, _moved),
    "Clip": _clip,
    "Pad": _pad,
    "Resize": _resize,
    "Add": _sum,
    "Sub": _sum,
    "Mul": _product,
    "Concat": _concat,
}
