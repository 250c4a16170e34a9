"""`swap_channels: {input: x}`: the input's channels in another order, RGB for BGR."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph import kept_quantization
from modelbuild.graph.edits import behind
from modelbuild.graph.edits.names import chosen_input, mapping
from modelbuild.graph.fresh_names import fresh_in
from modelbuild.graph.model import Graph, Node

_EXAMPLE = "edit: [{swap_channels: {input: image}}]"


def apply(graph: Graph, settings: object) -> None:
    """Channel i of the model is channel `order[i]` of the new input; reversed, if nothing is said.

    Where only convolutions with constant weights read the input, their weights are reordered, which costs
    nothing on the chip; else a 1x1 convolution that permutes comes behind the input.
    """
    given = mapping(settings, "swap_channels", ("input", "order"), _EXAMPLE)
    name = chosen_input(graph, given, "swap_channels")
    shape = graph.shapes[name]
    if len(shape) < 3:
        raise ModelbuildError(
            f"the input `{name}` has no channels to swap", why=f"its shape is {list(shape)}"
        )
    order = _order(given.get("order"), shape[1], name)
    source = behind.real_input(graph, name)
    readers = [node for node in graph.nodes if source in node.inputs]
    if readers and source not in graph.outputs and all(takes(graph, node, source) for node in readers):
        for node in readers:
            _reorder(graph, node, order)
        return
    if graph.dtypes[source] != np.dtype(np.float32):
        raise ModelbuildError(
            f"the input `{name}` holds {graph.dtypes[name]}", why="only channels of real numbers are swapped"
        )
    weight = np.zeros((shape[1], shape[1], *[1] * (len(shape) - 2)), np.float32)
    weight[np.arange(shape[1]), order] = 1
    behind.of_input(graph, name, "Conv", {"weight": weight}, {"kernel_shape": [1] * (len(shape) - 2)})


def _order(given: Any, channels: int, name: str) -> list[int]:
    order = list(range(channels))[::-1] if given is None else given
    whole = isinstance(order, list | tuple) and all(type(channel) is int for channel in order)
    if not whole or sorted(order) != list(range(channels)):
        raise ModelbuildError(
            f"`order: {order}` is not an order of the {channels} channels of the input `{name}`",
            advice=f"name each of 0 to {channels - 1} once",
        )
    return list(order)


def takes(graph: Graph, node: Node, name: str) -> bool:
    """Whether the node is a convolution of the input `name`, all channels at once, with constant weights."""
    plain = node.op == "Conv" and node.domain == "" and node.int("group", 1) == 1
    return plain and node.inputs[0] == name and node.inputs[1] in graph.constants


def _reorder(graph: Graph, node: Node, order: list[int]) -> None:
    """Gives the convolution weights of its own, which read channel order[i] where they read channel i."""
    weight, places = node.inputs[1], np.argsort(order)
    graph.constants[new := fresh_in(graph, f"{weight}_swapped")] = graph.constants[weight][:, places]
    kept_quantization.derived(graph, weight, new, lambda value: value[:, places])
    node.inputs[1] = new
