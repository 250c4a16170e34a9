"""Computes what is the same for every input: nodes of constants only, and shape arithmetic.

Why: exporters leave Shape, Gather, Concat and ConstantOfShape around every Reshape; no NPU runs them.
Legal: shapes are static, and only exact operators (`graph.constant_operators`) are computed, so that the
result has the same bits on any machine.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.shapes import known_values


def run(graph: Graph) -> int:
    """Number of nodes that became constants."""
    values = known_values(graph)
    kept = []
    for node in graph.nodes:
        made = [name for name in node.outputs if name]
        if not all(name in values for name in made):
            kept.append(node)
            continue
        for name in made:
            graph.constants[name] = values[name]
    changes = len(graph.nodes) - len(kept)
    graph.nodes = kept
    return changes
