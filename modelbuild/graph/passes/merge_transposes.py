"""Transpose after Transpose -> one; a Transpose that only moves dimensions of 1 -> Reshape.

Why: a transpose moves the whole feature map through memory.
Legal: permutations compose; without two dimensions above 1 changing order, the data keeps its order.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor, merged


def run(graph: Graph) -> int:
    """Number of nodes changed."""
    editor = Editor(graph)
    for node in editor.nodes("Transpose"):
        rank = editor.rank(node.inputs[0])
        perm = node.ints("perm", list(range(rank))[::-1])
        earlier = editor.producer(node.inputs[0], "Transpose")
        if earlier is not None:
            first = earlier.ints("perm", list(range(rank))[::-1])
            perm = [first[axis] for axis in perm]
            alone = editor.private(node.inputs[0])
            editor.replace(node, "Transpose", [earlier.inputs[0]], {"perm": list(perm)})
            if alone:
                node.origin = merged(earlier.origin, node.origin)
                editor.remove(earlier)
            editor.changes += 1
        shape = editor.shape(node.inputs[0])
        wide = [axis for axis in perm if shape[axis] > 1]
        if wide == sorted(wide):
            target = np.array(editor.shape(node.outputs[0]), np.int64)
            name = editor.add_constant(f"{node.name}_shape", target)
            editor.replace(node, "Reshape", [node.inputs[0], name])
            editor.changes += 1
    return editor.close()
