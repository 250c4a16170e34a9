"""Computes what is the same for every input: nodes of constants only, and shape arithmetic.

Why: exporters leave Shape, Gather, Concat and ConstantOfShape around every Reshape; no NPU runs them.
Legal: shapes are static, and only exact operators (`graph.constant_operators`) are computed, so that the
result has the same bits on any machine.
"""

from __future__ import annotations

from functools import partial

from modelbuild.graph import kept_quantization
from modelbuild.graph.constant_operators import evaluate
from modelbuild.graph.model import Array, Graph, Node
from modelbuild.graph.shapes import known_values

_MOVING = frozenset(
    {"Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose"}
    | {"Unsqueeze"}
)


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
        _follow_quantization(graph, node)
    changes = len(graph.nodes) - len(kept)
    graph.nodes = kept
    return changes


def _follow_quantization(graph: Graph, node: Node) -> None:
    """What moves quantized weights makes quantized weights."""
    if node.domain or node.op not in _MOVING or kept_quantization.entry(graph, node.inputs[0]) is None:
        return
    further = [graph.constants[name] if name else None for name in node.inputs[1:]]
    for index, name in enumerate(node.outputs):
        if name and kept_quantization.entry(graph, name) is None:
            moved = partial(_output, node, index, further)
            kept_quantization.derived(graph, node.inputs[0], name, moved)


def _output(node: Node, index: int, further: list[Array | None], value: Array) -> Array:
    made = evaluate(node, [value, *further])
    assert made is not None  # it has been computed with other numbers
    return made[index]
