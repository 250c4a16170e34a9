"""InstanceNormalization -> ReduceMean, Sub, Mul, ReduceMean, Add, Sqrt, Div, Mul, Add.

Why: a chip without the operator may still have these. PyTorch exports its group normalization in this form
too, between two Reshapes.
Legal: it is ONNX's own definition; scale and bias are constants.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.passes.standardize import made, standardized
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("InstanceNormalization"):
        scale, bias = editor.constant(node, 1), editor.constant(node, 2)
        if scale is None or bias is None:
            continue
        shape = editor.shape(node.inputs[0])
        a_channel = (-1, *(1,) * (len(shape) - 2))
        normal = standardized(editor, node, range(2, len(shape)))
        factor = editor.add_constant(f"{node.name}_scale", scale.reshape(a_channel))
        offset = editor.add_constant(f"{node.name}_bias", bias.reshape(a_channel))
        scaled = made(editor, node, "Mul", [normal, factor], shape)
        editor.replace(node, "Add", [scaled, offset])
        editor.changes += 1
    return editor.close()
