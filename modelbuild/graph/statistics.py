"""What a graph costs: multiply-accumulate operations, a node at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from modelbuild.graph.model import Graph, Node, Shape


def node_macs(graph: Graph, node: Node) -> int:
    """The multiply-accumulate operations of one node; 0 for what multiplies no weights or matrices.

    A convolution counts every cell of its window, also those that lie in the padding, as the vendors do.
    """
    count = _MACS.get(node.op)
    return 0 if count is None or node.domain else count(graph, node)


def macs(graph: Graph) -> int:
    """The multiply-accumulate operations of all nodes."""
    return sum(node_macs(graph, node) for node in graph.nodes)


def macs_by_origin(graph: Graph) -> dict[str, int]:
    """Those of the nodes that have any, by the first name of each one's origin."""
    found: dict[str, int] = {}
    for node in graph.nodes:
        count = node_macs(graph, node)
        if count:
            name = (*node.origin, node.name)[0]
            found[name] = found.get(name, 0) + count
    return found


def _shape(graph: Graph, name: str) -> Shape:
    return graph.constants[name].shape if name in graph.constants else graph.shapes[name]


def _conv(graph: Graph, node: Node) -> int:
    return math.prod(graph.shapes[node.outputs[0]]) * math.prod(_shape(graph, node.inputs[1])[1:])


def _conv_transpose(graph: Graph, node: Node) -> int:
    return math.prod(graph.shapes[node.inputs[0]]) * math.prod(_shape(graph, node.inputs[1])[1:])


def _gemm(graph: Graph, node: Node) -> int:
    shape = graph.shapes[node.inputs[0]]
    return math.prod(graph.shapes[node.outputs[0]]) * shape[0 if node.int("transA", 0) else -1]


def _matmul(graph: Graph, node: Node) -> int:
    return math.prod(graph.shapes[node.outputs[0]]) * graph.shapes[node.inputs[0]][-1]


_MACS: Mapping[str, Callable[[Graph, Node], int]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
}
COUNTED = frozenset(_MACS)  # operators that have any
