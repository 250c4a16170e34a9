"""A Reshape that reads a Reshape reads that one's input instead.

Why: each Reshape may cost a copy, and the first often dies.
Legal: always; both keep the data in order.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor, merged


def run(graph: Graph) -> int:
    """Number of nodes changed."""
    editor = Editor(graph)
    for node in editor.nodes("Reshape"):
        earlier = editor.producer(node.inputs[0], "Reshape")
        if earlier is None:
            continue
        if editor.private(node.inputs[0]):
            node.origin = merged(earlier.origin, node.origin)
            editor.set_inputs(node, [earlier.inputs[0], node.inputs[1]])
            editor.remove(earlier)
        else:
            editor.set_inputs(node, [earlier.inputs[0], node.inputs[1]])
        editor.changes += 1
    return editor.close()
