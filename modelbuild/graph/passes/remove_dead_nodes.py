"""Removes nodes and constants that reach no output of the model, and outputs of nodes that nobody reads.

Why: other passes leave them; training leaves masks and indices.
Legal: always; the model's inputs stay, also unused ones.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.passes.matching import is_standard

_OPTIONAL = (
    "BatchNormalization",
    "Dropout",
    "LayerNormalization",
    "MaxPool",
)  # have outputs one may leave out


def run(graph: Graph) -> int:
    """Number of nodes, constants and outputs removed."""
    wanted = set(graph.outputs)
    kept, changes = [], 0
    for node in reversed(graph.nodes):
        if not wanted.intersection(node.outputs):
            changes += 1
            continue
        while is_standard(node, *_OPTIONAL) and len(node.outputs) > 1 and node.outputs[-1] not in wanted:
            changes += node.outputs.pop() != ""
        wanted.update(name for name in node.inputs if name)
        kept.append(node)
    graph.nodes = kept[::-1]
    unused = [name for name in graph.constants if name not in wanted]
    for name in unused:
        del graph.constants[name]
    alive = {*graph.inputs, *graph.constants, *(name for node in graph.nodes for name in node.outputs)}
    for table in (graph.shapes, graph.dtypes):
        for name in [name for name in table if name not in alive]:
            table.pop(name)
    return changes + len(unused)
