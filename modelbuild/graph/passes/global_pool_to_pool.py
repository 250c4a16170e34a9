"""GlobalAveragePool and GlobalMaxPool -> AveragePool and MaxPool with a window of the whole picture.

Why: some chips have windows of that size, but no global form.
Legal: always; the window covers every cell once.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("GlobalAveragePool", "GlobalMaxPool"):
        spatial = list(editor.shape(node.inputs[0])[2:])
        ones = [1] * len(spatial)
        window = {"kernel_shape": spatial, "strides": ones, "pads": [0] * 2 * len(spatial)}
        if node.op == "GlobalMaxPool":
            window["dilations"] = ones
        editor.replace(node, node.op.removeprefix("Global"), [node.inputs[0]], {**window})
        editor.changes += 1
    return editor.close()
