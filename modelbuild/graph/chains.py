"""Runs of functions of one number behind a tensor, value by value: what one table can stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelbuild.graph.model import Graph, Node

# Operators of one number, where what else they read is a constant of one number. Not those that a table of 16
# straight pieces cannot follow: Cos, Cosh, Sin, Sinh, Tan (a byte of the argument is worth more there).
FUNCTIONS = frozenset(
    {"Abs", "Acos", "Acosh", "Add", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Clip", "Div", "Elu"}
    | {"Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Max", "Min", "Mul"}
    | {"Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Softplus"}
    | {"Softsign", "Sqrt", "Sub", "Tanh", "ThresholdedRelu"}
)
_LARGEST = 64  # nodes that are looked at


@dataclass(frozen=True)
class Chain:
    """`nodes` make `end` from `start`, value by value, and nobody else reads what lies between."""

    graph: Graph
    start: str
    end: str
    nodes: tuple[Node, ...]


class Chains:
    """Finds chains in one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._producers = graph.producers()
        self._readers = graph.consumers()
        self._places = {node.name: place for place, node in enumerate(graph.nodes)}

    def layers_before(self, node: Node, layers: Sequence[str]) -> list[Node]:
        """The nodes with an operator of `layers` that a node is a function of, the nearest first; of those
        that may be functions, such as Add, the ones that join tensors."""
        found, waiting, seen = list[Node](), [node], {node.name}
        while waiting and len(seen) <= _LARGEST:
            producers = [self._producers.get(name) for name in waiting.pop(0).inputs]
            for producer in producers:
                if producer is None or producer.name in seen:
                    continue
                seen.add(producer.name)
                is_layer = producer.op in layers and not producer.domain
                if is_layer and (producer.op not in FUNCTIONS or self.joins(producer)):
                    found.append(producer)
                elif producer.op in FUNCTIONS:
                    waiting.append(producer)
        return found

    def joins(self, node: Node) -> bool:
        """Whether a node reads tensors that are no functions of one of them, as a sum of two maps does."""
        given = {name for name in node.inputs if name and name not in self._graph.constants}
        return len(given) > 1 and not any(self._makes(name, given) for name in self._sources(node))

    def _sources(self, node: Node) -> list[str]:
        """The tensors that the node may be a function of: all that functions before it read."""
        found, waiting = list[str](), [node]
        while waiting and len(found) <= _LARGEST:
            for name in waiting.pop(0).inputs:
                if name and name not in self._graph.constants and name not in found:
                    found.append(name)
                    producer = self._producers.get(name)
                    if producer is not None and producer.op in FUNCTIONS:
                        waiting.append(producer)
        return found

    def _makes(self, start: str, wanted: set[str]) -> bool:
        made = {start, *(node.outputs[0] for node in self._grown(start))}
        return wanted <= made

    def behind(self, tensor: str) -> Chain:
        """The longest chain from `tensor` that leaves nothing of it to others; empty where there is none."""
        return self._longest(tensor, self._grown(tensor), None) or Chain(self._graph, tensor, tensor, ())

    def of(self, node: Node) -> Chain | None:
        """The longest chain that begins with `node`; others may read what it reads."""
        given = [name for name in node.inputs if name and name not in self._graph.constants]
        if len(set(given)) != 1:
            return None
        return self._longest(given[0], self._grown(given[0]), node)

    def sole_reader(self, tensor: str) -> Node | None:
        """The only node that reads a tensor, where it is no output."""
        readers = self._readers.get(tensor, [])
        return readers[0] if len(readers) == 1 and tensor not in self._graph.outputs else None

    def readers(self, tensor: str) -> list[Node]:
        """The nodes that read a tensor."""
        return self._readers.get(tensor, [])

    def _grown(self, start: str) -> list[Node]:
        made, found = {start}, list[Node]()
        waiting = {node.name: node for node in self._readers.get(start, [])}
        while waiting and len(found) < _LARGEST:
            node = min(waiting.values(), key=lambda node: self._places[node.name])
            del waiting[node.name]
            if self._is_function(node, made, start):
                found.append(node)
                made.add(node.outputs[0])
                waiting |= {reader.name: reader for reader in self._readers.get(node.outputs[0], [])}
        return found

    def _is_function(self, node: Node, made: set[str], start: str) -> bool:
        graph, shapes = self._graph, self._graph.shapes
        if node.op not in FUNCTIONS or node.domain or len([name for name in node.outputs if name]) != 1:
            return False
        rank = len(shapes[start])
        for name in node.inputs:
            constant = graph.constants.get(name)
            if name in made or not name:
                continue
            if constant is None or constant.size != 1 or constant.ndim > rank:
                return False
            if constant.dtype.kind != "f" or not np.isfinite(constant).all():
                return False
        if node.op in ("Pow", "PRelu") and (node.inputs[0] not in made or node.inputs[1] in made):
            return False
        return shapes[node.outputs[0]] == shapes[start]

    def _longest(self, start: str, grown: Sequence[Node], first: Node | None) -> Chain | None:
        made_by = {node.outputs[0]: node for node in grown}
        for last in reversed(grown):
            nodes = self._needed(last, made_by)
            if first is None or (nodes and nodes[0].name == first.name):
                inner = {node.outputs[0] for node in nodes} - {last.outputs[0]}
                inner |= {start} if first is None else set()
                if self._is_closed(inner, {node.name for node in nodes}):
                    return Chain(self._graph, start, last.outputs[0], tuple(nodes))
        return None

    def _needed(self, last: Node, made_by: Mapping[str, Node]) -> list[Node]:
        found: dict[str, Node] = {}
        waiting = [last]
        while waiting:
            node = waiting.pop()
            if node.name not in found:
                found[node.name] = node
                waiting += [made_by[name] for name in node.inputs if name in made_by]
        return sorted(found.values(), key=lambda node: self._places[node.name])

    def _is_closed(self, inner: set[str], nodes: set[str]) -> bool:
        return all(
            name not in self._graph.outputs
            and all(reader.name in nodes for reader in self._readers.get(name, []))
            for name in inner
        )
