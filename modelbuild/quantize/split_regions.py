"""Runs of the graph that can be taken apart by channels: a Conv, and what works channel by channel behind it.

Decided from the lowered graph alone, so that `quantize` and `apply` agree on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Array, Graph, Node

# Operators of one activation, each channel of whose output is made of that channel alone.
_EACH = frozenset(
    {"Relu", "Clip", "LeakyRelu", "Elu", "Selu", "Gelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf"}
    | {"Softplus", "Softsign", "Exp", "Log", "Sqrt", "Abs", "Neg", "Reciprocal"}
    | {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "Pad"}
)
_CURVED = frozenset(
    {"Clip", "Elu", "Selu", "Gelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Softplus"}
    | {"Softsign", "Exp", "Log"}
)
# Operators of two, of which one may be a constant: a number, or one a channel.
PAIRS = frozenset({"Add", "Sub", "Mul", "Div", "PRelu", "Pow"})


@dataclass(frozen=True)
class Region:
    """`first` makes a tensor, the `nodes` (each behind what it reads) work on its channels one by one;
    `tensors` are what all of these make. `readers` (Convs and Concats) read some of them from outside."""

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


def curved(graph: Graph) -> int:
    """How many of `regions` have a function that a factor does not pass, where equalising the channels ends:
    of others there is next to nothing to be won."""
    return sum(any(node.op in _CURVED for node in each.nodes) for each in regions(graph).values())


def regions(graph: Graph) -> dict[str, Region]:
    """Every run that can be taken apart, by the tensor it starts with."""
    consumers = graph.consumers()
    found = (region(graph, node, consumers) for node in graph.nodes if is_dense(graph, node))
    return {each.start: each for each in found if each is not None}


def region(graph: Graph, first: Node, consumers: Mapping[str, list[Node]]) -> Region | None:
    """The run behind one dense Conv; None where an output of the model, a source's own quantization, or an
    operator that could not tell the channels apart is in it."""
    if len(graph.shapes[first.outputs[0]]) != 4:  # what every chip that joins channels takes
        return None
    inside: dict[str, None] = {first.outputs[0]: None}
    nodes: list[Node] = []
    readers: dict[str, Node] = {}
    waiting: dict[str, Node] = {}
    todo = [first.outputs[0]]
    while todo:
        name = todo.pop(0)
        for node in consumers.get(name, []):
            if node.outputs[0] in inside:
                continue
            if is_each(graph, node, inside):
                waiting.pop(node.name, None)
                nodes.append(node)
                inside[node.outputs[0]] = None
                todo.append(node.outputs[0])
            elif node.op in PAIRS:
                waiting[node.name] = node
            elif _can_join(graph, node, consumers):
                readers[node.name] = node
            else:
                return None
    names = [*inside, *(name for node in (first, *nodes) for name in node.inputs)]
    if waiting or not nodes or any(name in graph.outputs or _is_kept(graph, name) for name in names):
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
    if node.op in PAIRS:
        constants = [graph.constants[name].shape for name in node.inputs if name in graph.constants]
        return all(is_a_channel(each, len(shape), shape[1]) for each in constants)
    return node.op in _EACH and _CONDITIONS.get(node.op, _always)(graph, node)


def _always(graph: Graph, node: Node) -> bool:
    return True


def _keeps_channels(graph: Graph, node: Node) -> bool:
    """Whether a Resize leaves the first two axes as they are."""
    crops = node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    if crops or not {"axes", "keep_aspect_ratio_policy"}.isdisjoint(node.attributes):
        return False
    scales = _constant(graph, node, 2)
    if scales is None:  # sizes: there are as many channels as there were, as the shapes say
        return _constant(graph, node, 3) is not None
    return np.array_equal(scales[:2], [1, 1])


def _pads_no_channels(graph: Graph, node: Node) -> bool:
    """Whether a Pad adds nothing to the first two axes, and takes nothing away."""
    rank = len(graph.shapes[node.inputs[0]])
    pads, axes = _constant(graph, node, 1), _constant(graph, node, 3)
    named = range(rank) if axes is None else [int(axis) % rank for axis in axes.tolist()]
    if pads is None or pads.size != 2 * len(named):
        return False
    ends = zip(named, *pads.reshape(2, -1).tolist(), strict=True)
    return all(axis > 1 or (before == 0 and after == 0) for axis, before, after in ends)


# Where operators of `_EACH` work channel by channel only in some forms.
_CONDITIONS = {"Resize": _keeps_channels, "Pad": _pads_no_channels}


def _constant(graph: Graph, node: Node, place: int) -> Array | None:
    """A constant input, unless it is empty."""
    found = graph.constants.get(node.inputs[place]) if len(node.inputs) > place else None
    return found if found is not None and found.size else None


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
    if node.op != "Concat" or node.domain:
        return False
    joined = node.outputs[0]
    if joined in graph.outputs or _is_kept(graph, joined):
        return False
    axis = node.int("axis", 0) % len(graph.shapes[joined])
    return axis == 1 and all(is_dense(graph, each) for each in consumers.get(joined, []))


def _is_kept(graph: Graph, name: str) -> bool:
    """Whether a source has quantized a tensor itself."""
    return kept_quantization.entry(graph, name) is not None
