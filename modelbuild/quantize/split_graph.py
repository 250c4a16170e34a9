"""Takes runs of a graph apart by channels: each part becomes a run of its own, joined where it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph import fresh_names, kept_quantization
from modelbuild.graph.model import Array, Graph, Node
from modelbuild.quantize.split_regions import PAIRS, Region, region

Indices = NDArray[np.int64]
Pieces = tuple[tuple[str, Indices], ...]  # tensors, each with the channels of the whole that it holds


@dataclass(frozen=True)
class Split:
    """A graph taken apart. `parts`: what `split` was given. `pieces`: of each tensor that is gone, what holds
    its channels; `joins`: where a Concat puts it together again, that. `origin`: new node -> the node of the
    graph as it was."""

    graph: Graph
    pieces: Mapping[str, Pieces] = field(default_factory=dict)
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    joins: Mapping[str, Pieces] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    def units(self, given: Mapping[str, str]) -> dict[str, str]:
        """Where nodes run: new ones where that runs which they are made from."""
        new = {name: given[old] for name, old in self.origin.items() if old in given}
        return {**given, **new}


def split(graph: Graph, parts: Mapping[str, Sequence[int]]) -> Split:
    """`parts`: the tensor that a Conv leaves -> the part that each of its channels goes to, from 0."""
    made = Split(graph)
    for start in [name for node in graph.nodes for name in node.outputs if name in parts]:
        found = region(made.graph, made.graph.producers()[start], made.graph.consumers())
        assert found is not None
        of_each = np.array(parts[start], np.int64)
        channels = [np.flatnonzero(of_each == number) for number in range(int(of_each.max()) + 1)]
        made = _Rewriting(made, found, channels).done()
    return replace(made, parts={name: tuple(numbers) for name, numbers in parts.items()})


class _Rewriting:
    """One run being taken apart."""

    def __init__(self, before: Split, found: Region, channels: Sequence[Indices]) -> None:
        graph = before.graph
        self.before, self.found, self.channels = before, found, channels
        self.graph = replace(
            graph,
            constants=dict(graph.constants),
            shapes=dict(graph.shapes),
            dtypes=dict(graph.dtypes),
            metadata=dict(graph.metadata),
        )
        kept_quantization.copied(graph, self.graph)
        self.taken = fresh_names.tensors(graph) | {node.name for node in graph.nodes} | set(before.pieces)
        self.pieces: dict[str, Pieces] = dict(before.pieces)
        self.joins: dict[str, Pieces] = dict(before.joins)
        self.origin = dict(before.origin)
        self.order: Indices = np.concatenate(list(channels))
        self.wholes: dict[str, str] = {}

    def done(self) -> Split:
        """The graph in which each part has its own nodes."""
        inside = {node.name for node in (self.found.first, *self.found.nodes)}
        readers = {node.name for node in self.found.readers}
        nodes: list[Node] = []
        permuted: dict[str, Indices] = {}  # of what Concats join anew
        for node in self.graph.nodes:
            if node.name in inside:
                nodes += self._parts(node)
            elif node.name in readers and node.op == "Concat":
                nodes.append(self._longer(node, permuted))
            elif node.name in readers:
                nodes += self._reading(node)
            elif node.inputs and node.inputs[0] in permuted:
                order = permuted[node.inputs[0]]
                nodes.append(self._columns(node, self.wholes[node.inputs[0]], order))
            else:
                nodes.append(node)
        self.graph.nodes = nodes
        return Split(self.graph, self.pieces, joins=self.joins, origin=self.origin)

    def _parts(self, node: Node) -> list[Node]:
        whole = node.outputs[0]
        made = [self._piece(node, number, channels) for number, channels in enumerate(self.channels)]
        self.pieces[whole] = tuple(
            (each.outputs[0], channels) for each, channels in zip(made, self.channels, strict=True)
        )
        return made

    def _piece(self, node: Node, number: int, channels: Indices) -> Node:
        inputs = [self._input(node, name, number, channels) for name in node.inputs]
        whole = node.outputs[0]
        output = self._tensor(f"{whole}_part{number}", whole, len(channels))
        attributes = dict(node.attributes)
        if node.op == "Conv" and node.int("group", 1) > 1:
            attributes["group"] = len(channels)
        return self._node(replace(node, inputs=inputs, outputs=[output], attributes=attributes), node, number)

    def _node(self, made: Node, node: Node, number: int) -> Node:
        name = fresh_names.fresh(f"{node.name}_part{number}", self.taken)
        self.origin[name] = self.origin.get(node.name, node.name)
        return replace(made, name=name)

    def _tensor(self, name: str, like: str, channels: int) -> str:
        made = fresh_names.fresh(name, self.taken)
        shape = self.graph.shapes[like]
        self.graph.shapes[made] = (shape[0], channels, *shape[2:])
        self.graph.dtypes[made] = self.graph.dtypes[like]
        return made

    def _input(self, node: Node, name: str, number: int, channels: Indices) -> str:
        """A part of a tensor, or the rows of a constant that belong to it."""
        if name in self.pieces and name in self.found.tensors:
            return self.pieces[name][number][0]
        if name not in self.graph.constants:
            return name
        value = self.graph.constants[name]
        if node.op == "Resize":
            return self._sizes(node, name, len(channels))
        axis = _axis(node, value, len(self.graph.shapes[node.outputs[0]]))
        if axis is None or (value.shape[axis] == 1 and len(self.order) > 1):
            return name
        return self._constant(f"{name}_part{number}", np.take(value, channels, axis))

    def _sizes(self, node: Node, name: str, channels: int) -> str:
        """A constant input of a Resize: the sizes that it leaves have those of a part."""
        if node.inputs.index(name) != 3:
            return name
        value = self.graph.constants[name].copy()
        value[1] = channels
        return self._constant(f"{name}_part", value)

    def _constant(self, name: str, value: Array) -> str:
        made = fresh_names.fresh(name, self.taken)
        self.graph.constants[made] = np.ascontiguousarray(value)
        self.graph.shapes[made], self.graph.dtypes[made] = value.shape, value.dtype
        return made

    def _reading(self, node: Node) -> list[Node]:
        """A Conv that reads a tensor, behind the Concat that puts it together."""
        name = node.inputs[0]
        if name in self.wholes:
            return [self._columns(node, self.wholes[name], self.order)]
        joined = self._tensor(f"{name}_joined", name, len(self.order))
        self.wholes[name] = joined
        self.joins[name] = ((joined, self.order),)
        called = fresh_names.fresh(f"{name}_join", self.taken)
        parts = [part for part, _ in self.pieces[name]]
        concat = Node("Concat", called, parts, [joined], {"axis": 1}, origin=node.origin)
        self.origin[called] = self.origin.get(node.name, node.name)
        return [concat, self._columns(node, joined, self.order)]

    def _columns(self, node: Node, joined: str, order: Indices) -> Node:
        """A Conv that reads `joined`, the columns of its weights in this order."""
        old = node.inputs[1]
        made = self._constant(f"{old}_ordered", np.take(self.graph.constants[old], order, 1))
        kept_quantization.derived(self.graph, old, made, lambda values: np.take(values, order, 1))
        return replace(node, inputs=[joined, made, *node.inputs[2:]])

    def _longer(self, node: Node, permuted: dict[str, Indices]) -> Node:
        """A Concat that joins the parts beside what it joined before."""
        inputs: list[str] = []
        order: list[Indices] = []
        start = 0
        for name in node.inputs:
            size = (
                self.graph.shapes[name] if name not in self.found.tensors else self.before.graph.shapes[name]
            )[1]
            if name in self.found.tensors:
                inputs += [part for part, _ in self.pieces[name]]
                order.append(start + self.order)
            else:
                inputs.append(name)
                order.append(start + np.arange(size))
            start += size
        whole = node.outputs[0]
        made = self._tensor(f"{whole}_ordered", whole, start)
        permuted[whole] = np.concatenate(order)
        self.wholes[whole] = made
        self._permute(whole, made, permuted[whole])
        return replace(node, inputs=inputs, outputs=[made])

    def _permute(self, whole: str, made: str, order: Indices) -> None:
        """`made` holds the channels of `whole`, which may stand for an earlier one, in another order."""
        earlier = [key for key, pieces in self.pieces.items() if any(name == whole for name, _ in pieces)]
        for key in earlier:
            self.pieces[key] = tuple(
                (made, channels[order]) if name == whole else (name, channels)
                for name, channels in self.pieces[key]
            )
        if not earlier:
            self.pieces[whole] = ((made, order),)


def _axis(node: Node, value: Array, rank: int) -> int | None:
    """The axis of a constant input that holds channels."""
    if node.op == "Conv":
        return 0
    if node.op in PAIRS:
        axis = value.ndim - rank + 1
        return axis if axis >= 0 else None
    return None
