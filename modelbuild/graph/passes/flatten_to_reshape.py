"""Flatten, Squeeze, Unsqueeze and Reshape -> Reshape with the whole target shape as a constant.

Why: all four keep the data as it is; one operator is easier to merge, to place and to compile.
Legal: shapes are static.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes changed."""
    editor = Editor(graph)
    for node in editor.nodes("Flatten", "Squeeze", "Unsqueeze", "Reshape"):
        wanted = editor.shape(node.outputs[0])
        found = editor.constant(node, 1) if node.op == "Reshape" else None
        if found is not None and tuple(found) == wanted and not node.attributes:
            continue
        target = editor.add_constant(f"{node.name}_shape", np.array(wanted, np.int64))
        editor.replace(node, "Reshape", [node.inputs[0], target])
        editor.changes += 1
    return editor.close()
