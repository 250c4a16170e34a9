"""Structure-only graphs: networks published for their shape alone, whose weights are all one value.

Vendors' tables of times are of such files. What looks like a duplicate in them is none in the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from modelbuild.graph.model import Array, Graph, Node
from modelbuild.graph.repeated import is_repeated

_WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
}  # operator -> which of its inputs may be weights
KEY = "modelbuild.structure_only"  # in the metadata of a normalised graph
_LEAST = 2  # weights: of a single one that is all one value, it may be meant (a mean, a sum)


def is_structure_only(graph: Graph) -> bool:
    """Whether each weight of a convolution or matrix product is one value repeated, and two are large enough
    (more than one element) to show it. Weights may be constants, or made by ConstantOfShape of constants."""
    weights = {id(value): value for value in _weights(graph)}
    large = [value for value in weights.values() if value.size > 1]
    return len(large) >= _LEAST and all(map(_ends_alike, large)) and all(map(_is_alike, large))


def note(graph: Graph, is_alike: bool) -> None:
    """Writes into the metadata what the source was: passes that follow add weights of their own."""
    graph.metadata.pop(KEY, None)
    if is_alike:
        graph.metadata[KEY] = "true"


def is_noted(graph: Graph) -> bool:
    """Whether the source of this normalised or lowered graph is structure only."""
    return KEY in graph.metadata


def _weights(graph: Graph) -> Iterator[Array]:
    made = {node.outputs[0]: node for node in graph.nodes if node.op == "ConstantOfShape" and not node.domain}
    for name in _names(graph):
        if name in graph.constants:
            yield graph.constants[name]
        elif name in made and made[name].inputs[0] in graph.constants:
            yield _filled(made[name], graph.constants[made[name].inputs[0]])


def _names(graph: Graph) -> dict[str, None]:
    """The inputs that may be weights, each once, in order."""
    return dict.fromkeys(
        node.inputs[index]
        for node in graph.nodes
        if not node.domain
        for index in _WEIGHTS.get(node.op, ())
        if index < len(node.inputs)
    )


def _filled(node: Node, shape: Array) -> Array:
    value = np.asarray(node.attributes.get("value", np.zeros(1, np.float32))).reshape(-1)[:1]
    return np.broadcast_to(value, [int(size) for size in shape.reshape(-1)])


def _ends_alike(value: Array) -> bool:
    """A look at two values: it tells real weights from others, and takes no time."""
    return bool(value.flat[0] == value.flat[value.size - 1])


def _is_alike(value: Array) -> bool:
    return is_repeated(value) or bool(value.min() == value.max())
