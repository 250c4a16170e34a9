"""SpaceToDepth -> Reshape, Transpose, Reshape.

Why: a chip without the operator may still have the three.
Legal: it is ONNX's own definition.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.passes.block import rearrange
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("SpaceToDepth"):
        batch, channels, height, width = editor.shape(node.inputs[0])
        size = node.int("blocksize", 1)
        split = [batch, channels, height // size, size, width // size, size]
        rearrange(editor, node, split, [0, 3, 5, 1, 2, 4])
        editor.changes += 1
    return editor.close()
