"""A Concat that reads a Concat of the same axis joins that one's inputs itself.

Why: each Concat may copy all that it joins.
Legal: the inner one has no other reader.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import sole_reader
from modelbuild.graph.rewrite import Editor, merged


def run(graph: Graph) -> int:
    """Number of Concats removed."""
    editor = Editor(graph)
    for node in editor.nodes("Concat"):
        target = node.outputs[0]
        outer = sole_reader(editor, target, "Concat")
        if outer is None or _axis(editor, outer) != _axis(editor, node):
            continue
        joined = [name for item in outer.inputs for name in (node.inputs if item == target else [item])]
        editor.set_inputs(outer, joined)
        outer.origin = merged(node.origin, outer.origin)
        editor.remove(node)
        editor.changes += 1
    return editor.close()


def _axis(editor: Editor, node: Node) -> int:
    return node.int("axis", 0) % editor.rank(node.outputs[0])
