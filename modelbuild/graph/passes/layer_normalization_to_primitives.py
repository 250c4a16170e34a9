"""LayerNormalization -> ReduceMean, Sub, Mul, ReduceMean, Add, Sqrt, Div, Mul, Add.

Why: a chip without the operator may still have these.
Legal: it is ONNX's own definition; the statistics (outputs 2 and 3) are not read.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("LayerNormalization"):
        if not any(editor.consumers(name) or name in graph.outputs for name in node.outputs[1:]):
            node.outputs = node.outputs[:1]
            _decompose(editor, node)
            editor.changes += 1
    return editor.close()


def _decompose(editor: Editor, node: Node) -> None:
    source, target = node.inputs[0], node.outputs[0]
    shape = editor.shape(source)
    axis = node.int("axis", -1) % len(shape)
    axes = list(range(axis, len(shape)))
    reduced = (*shape[:axis], *(1,) * len(axes))
    epsilon = editor.add_constant(
        f"{node.name}_epsilon", np.array(node.attributes.get("epsilon", 1e-5), np.float32)
    )

    def make(op: str, inputs: list[str], size: tuple[int, ...], **attributes: Attribute) -> str:
        name = editor.tensor(f"{target}_{op.lower()}", size)
        editor.insert(node, op, inputs, [name], dict(attributes))
        return name

    mean = make("ReduceMean", [source], reduced, axes=axes, keepdims=1)
    centred = make("Sub", [source, mean], shape)
    variance = make("ReduceMean", [make("Mul", [centred, centred], shape)], reduced, axes=axes, keepdims=1)
    deviation = make("Sqrt", [make("Add", [variance, epsilon], reduced)], reduced)
    normal = make("Div", [centred, deviation], shape)
    if len(node.inputs) > 2 and node.inputs[2]:
        editor.replace(node, "Add", [make("Mul", [normal, node.inputs[1]], shape), node.inputs[2]])
    else:
        editor.replace(node, "Mul", [normal, node.inputs[1]])
