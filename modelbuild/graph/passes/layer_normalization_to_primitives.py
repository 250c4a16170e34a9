"""LayerNormalization -> ReduceMean, Sub, Mul, ReduceMean, Add, Sqrt, Div, Mul, Add.

Why: a chip without the operator may still have these.
Legal: it is ONNX's own definition; the statistics (outputs 2 and 3) are not read.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import is_read
from modelbuild.graph.passes.standardize import made, standardized
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("LayerNormalization"):
        if not any(is_read(editor, name) for name in node.outputs[1:]):
            node.outputs = node.outputs[:1]
            _decompose(editor, node)
            editor.changes += 1
    return editor.close()


def _decompose(editor: Editor, node: Node) -> None:
    shape = editor.shape(node.inputs[0])
    axis = node.int("axis", -1) % len(shape)
    normal = standardized(editor, node, range(axis, len(shape)))
    if len(node.inputs) > 2 and node.inputs[2]:
        scaled = made(editor, node, "Mul", [normal, node.inputs[1]], shape)
        editor.replace(node, "Add", [scaled, node.inputs[2]])
    else:
        editor.replace(node, "Mul", [normal, node.inputs[1]])
