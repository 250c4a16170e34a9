"""Weights that several operators share -> a copy for each.

Why: a compiler that places weights beside the operator that reads them, or quantizes them for its input,
needs them apart.
Legal: always; it costs the memory of the copies.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor

_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "PRelu")


def run(graph: Graph) -> int:
    """Number of copies made."""
    editor = Editor(graph)
    taken: set[str] = set()
    for node in editor.nodes(*_WEIGHTED):
        inputs = list(node.inputs)
        for index, name in enumerate(inputs):
            if name in taken:
                inputs[index] = editor.laid_out(name, name, lambda weights: weights)
                editor.changes += 1
            elif name in graph.constants:
                taken.add(name)
        if inputs != node.inputs:
            editor.set_inputs(node, inputs)
            taken.update(name for name in inputs if name in graph.constants)
    return editor.close()
