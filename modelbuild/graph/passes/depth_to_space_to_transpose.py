"""DepthToSpace -> Reshape, Transpose, Reshape.

Why: a chip without the operator may still have the three.
Legal: it is ONNX's own definition, for both modes (DCR and CRD).
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.passes.block import rearrange
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("DepthToSpace"):
        batch, channels, height, width = editor.shape(node.inputs[0])
        size = node.int("blocksize", 1)
        depth = channels // (size * size)
        if node.attributes.get("mode", "DCR") == "DCR":
            rearrange(editor, node, [batch, size, size, depth, height, width], [0, 3, 4, 1, 5, 2])
        else:
            rearrange(editor, node, [batch, depth, size, size, height, width], [0, 1, 4, 2, 5, 3])
        editor.changes += 1
    return editor.close()
