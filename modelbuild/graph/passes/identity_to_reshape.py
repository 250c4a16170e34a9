"""Identity -> Reshape to the shape that is there already.

Why: what normalising leaves of Identity is an output that equals an input or another output, and has to be
made. Chips move tensors by Reshape; none has an Identity.
Legal: always.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Identity"):
        shape = np.array(editor.shape(node.inputs[0]), np.int64)
        editor.replace(node, "Reshape", [node.inputs[0], editor.add_constant(f"{node.name}_shape", shape)])
        editor.changes += 1
    return editor.close()
