"""Split of which one output alone is read -> Slice.

Why: nothing then makes the parts that nobody reads.
Legal: the sizes are static.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.passes.merge_slices import write
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of Splits replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Split"):
        axis = node.int("axis", 0) % editor.rank(node.inputs[0])
        wanted = [name for name in node.outputs if name in graph.outputs or editor.consumers(name)]
        if len(wanted) == 1 and len(node.outputs) > 1:
            start = sum(editor.shape(name)[axis] for name in node.outputs[: node.outputs.index(wanted[0])])
            cells = range(start, start + editor.shape(wanted[0])[axis])
            node.outputs = wanted
            write(editor, node, node.inputs[0], {axis: cells})
            editor.changes += 1
    return editor.close()
