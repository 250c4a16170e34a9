"""An element-wise operator on Reshapes of pictures -> the operator on the pictures, one Reshape behind it.

Why: it then melts into the convolution before, runs where only tensors of rank 4 do, and the Reshapes of
signals that work as pictures meet and go.
Legal: every tensor that is read is a Reshape from rank 4, all from one shape to one shape, or one number.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rewrite import Editor

_OPS = (
    *(
        "Abs",
        "Add",
        "Clip",
        "Elu",
        "Erf",
        "Exp",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Log",
        "Mul",
    ),
    *("Neg", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Tanh"),
)
_PICTURE = 4


def run(graph: Graph) -> int:
    """Number of operators that changed places with Reshapes."""
    editor = Editor(graph)
    for node in editor.nodes(*_OPS):
        editor.changes += _move(editor, node)
    return editor.close()


def _move(editor: Editor, node: Node) -> bool:
    given = {name for name in node.inputs if name and not _is_number(editor, name)}
    sources = {name: _source(editor, name) for name in given}
    shapes = {editor.shape(name) for name in sources.values() if name is not None}
    if None in sources.values() or len(shapes) != 1 or len({editor.shape(name) for name in given}) != 1:
        return False
    (shape,) = shapes
    output = node.outputs[0]
    if len(shape) != _PICTURE or len(editor.shape(output)) == _PICTURE:
        return False
    inputs = [sources.get(name) or name for name in node.inputs]
    picture = editor.tensor(f"{output}_picture", shape, editor.graph.dtypes[output])
    back = editor.add_constant(f"{node.name}_shape", np.array(editor.shape(output), np.int64))
    editor.insert(node, node.op, inputs, [picture], dict(node.attributes))
    editor.replace(node, "Reshape", [picture, back])
    return True


def _is_number(editor: Editor, name: str) -> bool:
    value = editor.graph.constants.get(name)
    return value is not None and value.size == 1 and value.ndim <= _PICTURE  # more axes would stay


def _source(editor: Editor, name: str) -> str | None:
    maker = editor.producer(name, "Reshape")
    return maker.inputs[0] if maker is not None else None
