"""HardSwish(x) -> x · HardSigmoid(x) with alpha 1/6 and beta 1/2.

Why: a chip with a table for HardSigmoid and a multiplier needs no operator of its own.
Legal: it is ONNX's own definition.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("HardSwish"):
        source = node.inputs[0]
        gate = editor.tensor(f"{node.outputs[0]}_gate", editor.shape(source))
        editor.insert(node, "HardSigmoid", [source], [gate], {"alpha": 1 / 6, "beta": 0.5})
        editor.replace(node, "Mul", [source, gate])
        editor.changes += 1
    return editor.close()
