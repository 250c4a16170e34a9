"""The backward pass of a float graph, as an ONNX graph that runs forward and backward at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from modelbuild.graph.fresh_names import fresh, tensors
from modelbuild.graph.gradients import RULES
from modelbuild.graph.gradients.step import NoRule, Step
from modelbuild.graph.model import Array, Graph, Node

# What lays values out anew: a Softmax in front of it still ends the model.
_MOVING = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity"})


@dataclass(frozen=True)
class Gradients:
    """A graph that computes the model and gradients of sum over its `differentiated` ends of cotangent · end.

    `names`: tensor -> the tensor that holds its gradient; `cotangents`: end -> the further input that weighs
    it, of its shape. `missing`: tensor -> the operator without a rule between it and an output, or ""
    where no output depends on it. The graph's outputs are those of the model and all of `names`.
    """

    graph: Graph
    names: Mapping[str, str]
    cotangents: Mapping[str, str]
    missing: Mapping[str, str]


def gradient_graph(graph: Graph, wanted: Collection[str]) -> Gradients:
    """The gradients of the float tensors `wanted` of a normalised graph.

    An operator without a rule stops the walk there: its inputs, and all on which they depend, have no
    gradient, since it would lack a share. An output of codes counts as the floats that they stand for.
    """
    walk = _Walk(graph, wanted)
    for node in reversed(graph.nodes):
        walk.step(node)
    return walk.finish(wanted)


class _Walk:
    def __init__(self, graph: Graph, wanted: Collection[str]) -> None:
        self._graph = graph
        self._needed = _needed(graph, wanted)
        self._taken = tensors(graph) | {node.name for node in graph.nodes}
        self._nodes: list[Node] = []
        self._constants: dict[str, Array] = {}
        self._shares: dict[str, list[str]] = {}
        self._found: dict[str, str | None] = {}
        self._blocked: dict[str, str] = {}
        self._cotangents: dict[str, str] = {}
        producers = graph.producers()
        for output in _ends(graph):
            producer = producers.get(output)
            if not _is_float(graph, output):
                self._blocked[output] = producer.op if producer is not None else ""
                continue
            self._cotangents[output] = fresh(f"{output}/cotangent", self._taken)
            self._shares[output] = [self._cotangents[output]]

    def step(self, node: Node) -> None:
        """Walks over one node, from its outputs to its inputs."""
        wanted = [index for index, name in enumerate(node.inputs) if name in self._needed]
        blocked = next((self._blocked[name] for name in node.outputs if name in self._blocked), None)
        if blocked is not None:
            self._block(node, wanted, blocked)
            return
        gradients = [self._gradient(name) for name in node.outputs]
        if not wanted or not any(gradients):
            return
        step = Step(node, self._graph, gradients, frozenset(wanted), self._taken)
        try:
            if node.domain or node.op not in RULES:
                raise NoRule
            RULES[node.op](step)
        except NoRule:
            self._block(node, wanted, node.op)
            return
        self._nodes += step.nodes
        self._constants |= step.constants
        for name, share in step.given:
            self._shares.setdefault(name, []).append(share)

    def finish(self, wanted: Collection[str]) -> Gradients:
        """The whole graph, once all nodes are walked over."""
        found = {name: self._gradient(name) for name in dict.fromkeys(wanted) if name not in self._blocked}
        names = {name: gradient for name, gradient in found.items() if gradient is not None}
        missing = {name: self._blocked.get(name, "") for name in wanted if name not in names}
        graph = self._graph
        outputs = list(dict.fromkeys([*graph.outputs, *names.values()]))
        inputs = [*graph.inputs, *self._cotangents.values()]
        constants = {**graph.constants, **self._constants}
        whole = Graph(graph.name, [*graph.nodes, *self._nodes], inputs, outputs, constants, opset=graph.opset)
        whole.shapes, whole.dtypes = dict(graph.shapes), dict(graph.dtypes)
        for name, other in [*names.items(), *self._cotangents.items()]:
            whole.shapes[other], whole.dtypes[other] = graph.shapes[name], graph.dtypes[name]
        return Gradients(whole, names, self._cotangents, missing)

    def _block(self, node: Node, inputs: list[int], operator: str) -> None:
        for index in inputs:
            self._blocked[node.inputs[index]] = operator

    def _gradient(self, name: str) -> str | None:
        """The sum of the shares of a tensor all of whose readers are walked over."""
        if name not in self._found:
            shares = self._shares.get(name, [])
            if len(shares) > 1:
                total = fresh(f"{name}/gradient", self._taken)
                self._nodes.append(Node("Sum", total, shares, [total]))
                shares = [total]
            self._found[name] = shares[0] if shares else None
        return self._found[name]


def differentiated(graph: Graph) -> list[str]:
    """What gradients begin at, the keys of `Gradients.cotangents`: the outputs, and `scores`."""
    return [name for name in _ends(graph) if _is_float(graph, name)]


def scores(graph: Graph) -> dict[str, int]:
    """What the Softmax in front of an output reads, unless that is an output itself -> the Softmax's axis.
    A tensor of which two are made, along different axes, is left out.

    Where it is saturated nothing is left of an error, and the gradient is 0: of samples whose class is sure
    an output of probabilities says nothing about those that are not.
    """
    producers = graph.producers()
    found: dict[str, set[int]] = {}
    outputs = _outputs(graph)
    for name in outputs:
        node = producers.get(name)
        while node is not None and node.op in _MOVING:
            node = producers.get(node.inputs[0])
        if node is not None and node.op == "Softmax" and node.inputs[0] not in (*outputs, *graph.constants):
            axis, rank = node.int("axis", -1), len(graph.shapes[node.inputs[0]])
            found.setdefault(node.inputs[0], set()).add(axis if axis >= 0 else axis + rank)
    return {name: axis for name, (axis, *others) in found.items() if not others}


def _ends(graph: Graph) -> list[str]:
    return [*_outputs(graph), *scores(graph)]


def _outputs(graph: Graph) -> list[str]:
    """The outputs; of one of codes, the tensor that they stand for."""
    producers = graph.producers()
    made = {name: producers.get(name) for name in graph.outputs}
    return list(
        dict.fromkeys(
            node.inputs[0] if node is not None and node.op == "QuantizeLinear" else name
            for name, node in made.items()
        )
    )


def _needed(graph: Graph, wanted: Collection[str]) -> set[str]:
    """The float tensors that are wanted, or depend on one that is."""
    found = {name for name in wanted if _is_float(graph, name)}
    for node in graph.nodes:
        if not found.isdisjoint(node.inputs):
            found.update(name for name in node.outputs if name and _is_float(graph, name))
    return found


def _is_float(graph: Graph, name: str) -> bool:
    return name not in graph.constants and np.issubdtype(graph.dtypes[name], np.floating)
