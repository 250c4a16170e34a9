"""Split -> one Slice an output.

Why: fixed-point arithmetic and most chips have Slice alone.
Legal: the sizes are static.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of Splits replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Split"):
        axis = node.int("axis", 0) % editor.rank(node.inputs[0])
        outputs = [name for name in node.outputs if name]
        sizes = [editor.shape(name)[axis] for name in node.outputs]
        start = 0
        parts = []
        for name, size in zip(node.outputs, sizes, strict=True):
            parts.append((name, start, start + size))
            start += size
        editor.remove(node)
        for name, first, last in parts:
            if name in outputs:
                constants = [
                    editor.add_constant(f"{node.name}_{which}", np.array([value], np.int64))
                    for which, value in (("starts", first), ("ends", last), ("axes", axis), ("steps", 1))
                ]
                editor.insert(node, "Slice", [node.inputs[0], *constants], [name])
        editor.changes += 1
    return editor.close()
