"""Names that nothing else has: the one rule by which all who add nodes or tensors to a graph number them."""

from __future__ import annotations

from modelbuild.graph.model import Graph


def fresh(base: str, taken: set[str]) -> str:
    """`base`, or the first of `base_1`, `base_2` ... that is not in `taken`; it is taken then."""
    name, count = base, 0
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    taken.add(name)
    return name


def tensors(graph: Graph) -> set[str]:
    """The names of all tensors of `graph`: inputs, constants, and what nodes make."""
    made = (name for node in graph.nodes for name in node.outputs if name)
    return {*graph.inputs, *graph.constants, *made}


def fresh_in(graph: Graph, base: str) -> str:
    """`base`, numbered where a tensor or a node of `graph` has that name."""
    return fresh(base, tensors(graph) | {node.name for node in graph.nodes})
