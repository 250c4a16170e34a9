"""Runs of the graph that can be taken apart by channels: a Conv, and what works channel by channel behind it.

Decided from the lowered graph alone, so that `quantize` and `apply` agree on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.graph.kept_quantization import kept
from modelbuild.graph.model import Graph, Node

# Operators of one activation, each channel of whose output is made of that channel alone.
_EACH = frozenset(
    {"Relu", "Clip", "LeakyRelu", "Elu", "Selu", "Gelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf"}
    | {"Softplus", "Softsign", "Exp", "Log", "Sqrt", "Abs", "Neg", "Reciprocal"}
    | {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "Pad"}
)
# Operators of two, of which one may be a constant: a number, or one a channel.
_PAIRS = frozenset({"Add", "Sub", "Mul", "Div", "PRelu", "Pow"})


@dataclass(frozen=True)
class Region:
    """`first` makes a tensor, the `nodes` (in order) work on its channels one by one; `tensors` are what all
    of these make. `readers` (Convs and Concats) read some of them from outside."""

    first: Node
    nodes: tuple[Node, ...]
    tensors: tuple[str, ...]
    readers: tuple[Node, ...]

    @property
    def start(self) -> str:
        """The tensor whose channels are divided."""
        return self.first.outputs[0]

    def joined(self) -> tuple[str, ...]:
        """The tensors that must be whole again."""
        return tuple(name for name in self.tensors if any(name in node.inputs for node in self.readers))


def regions(graph: Graph) -> dict[str, Region]:
    """Every run that can be taken apart, by the tensor it starts with."""
    consumers = graph.consumers()
    found = (region(graph, node, consumers) for node in graph.nodes if is_dense(graph, node))
    return {each.start: each for each in found if each is not None}


def region(graph: Graph, first: Node, consumers: Mapping[str, list[Node]]) -> Region | None:
    """The run behind one dense Conv; None where an output of the model, a source's own quantization, or an
    operator that could not tell the channels apart is in it."""
    entries = kept(graph)
    inside: dict[str, None] = {first.outputs[0]: None}
    nodes: list[Node] = []
    readers: dict[str, Node] = {}
    waiting: dict[str, Node] = {}
    todo = [first.outputs[0]]
    while todo:
        name = todo.pop(0)
        for node in consumers.get(name, []):
            if is_each(graph, node, inside):
                waiting.pop(node.name, None)
                nodes.append(node)
                inside[node.outputs[0]] = None
                todo.append(node.outputs[0])
            elif node.op in _PAIRS:
                waiting[node.name] = node
            elif _can_join(graph, node, consumers):
                readers[node.name] = node
            else:
                return None
    if len(graph.shapes[first.outputs[0]]) != 4:  # what every chip that joins channels takes
        return None
    names = [*inside, *(name for node in (first, *nodes) for name in node.inputs)]
    if waiting or not nodes or any(name in graph.outputs or name in entries for name in names):
        return None
    return Region(first, tuple(nodes), tuple(inside), tuple(readers.values()))


def is_dense(graph: Graph, node: Node) -> bool:
    """Whether it is a Conv with constant weights, all of whose outputs read all of its inputs."""
    if node.op != "Conv" or node.domain or node.int("group", 1) != 1:
        return False
    return node.inputs[0] not in graph.constants and all(
        name in graph.constants for name in node.inputs[1:] if name
    )


def is_depthwise(graph: Graph, node: Node) -> bool:
    """Whether it is a Conv of as many groups as inputs and outputs."""
    if node.op != "Conv" or node.domain or node.inputs[0] in graph.constants:
        return False
    groups = node.int("group", 1)
    same = groups == graph.shapes[node.inputs[0]][1] == graph.shapes[node.outputs[0]][1]
    return same and groups > 1 and all(name in graph.constants for name in node.inputs[1:] if name)


def is_each(graph: Graph, node: Node, inside: Mapping[str, None]) -> bool:
    """Whether each channel of its output is made of the same one of tensors `inside`."""
    given = [name for name in node.inputs if name and name not in graph.constants]
    if node.domain or len(node.outputs) != 1 or not given or any(name not in inside for name in given):
        return False
    shape = graph.shapes[node.outputs[0]]
    if any(graph.shapes[name][:2] != shape[:2] or len(graph.shapes[name]) != len(shape) for name in given):
        return False
    if node.op == "Conv":
        return is_depthwise(graph, node)
    if node.op in _PAIRS:
        constants = [graph.constants[name].shape for name in node.inputs if name in graph.constants]
        return all(is_a_channel(each, len(shape), shape[1]) for each in constants)
    return node.op in _EACH


def is_a_channel(constant: tuple[int, ...], rank: int, channels: int) -> bool:
    """Whether a constant broadcasts to a tensor of `rank` axes as one number for all, or one a channel."""
    padded = (1,) * (rank - len(constant)) + constant
    return len(padded) == rank and all(
        size == 1 or (axis == 1 and size == channels) for axis, size in enumerate(padded)
    )


def _can_join(graph: Graph, node: Node, consumers: Mapping[str, list[Node]]) -> bool:
    """Whether the order of the channels that it reads is of no account: the columns of its weights, or of
    those that read what it joins, are put in the same order."""
    if is_dense(graph, node):
        return True
    if (
        node.op != "Concat"
        or node.domain
        or node.outputs[0] in graph.outputs
        or node.outputs[0] in kept(graph)
    ):
        return False
    rank = len(graph.shapes[node.outputs[0]])
    behind = consumers.get(node.outputs[0], [])
    return node.int("axis", 0) % rank == 1 and bool(behind) and all(is_dense(graph, each) for each in behind)
