"""Reshape, an operator that keeps the order of the data, Reshape -> the operator on what the first one read.

Why: what stands between the layers of a transformer, and the Softmax of operator sets before 13, which
flattened first, then need one Reshape or none.
Legal: an element-wise operator of one tensor does not see shapes; Softmax does the same along an axis with as
many cells, as many of them behind it. The rank does not grow beyond what pictures have.
"""

from __future__ import annotations

from math import prod

from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Graph, Node, Shape
from modelbuild.graph.passes.matching import sole_reader
from modelbuild.graph.rewrite import Editor

_PICTURE = 4
_UNARY = frozenset((
    "Abs", "Clip", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Neg", "Reciprocal",
    "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Tanh",
))  # fmt: skip
_ALONG = ("Hardmax", "LogSoftmax", "Softmax")


def run(graph: Graph) -> int:
    """Number of operators that read what was there before the Reshape."""
    editor = Editor(graph)
    for node in editor.nodes(*_UNARY, *_ALONG):
        target = node.outputs[0]
        before = editor.producer(node.inputs[0], "Reshape")
        after = sole_reader(editor, target, "Reshape")
        if before is None or after is None or after.inputs[0] != target:
            continue
        source = before.inputs[0]
        shape = editor.shape(source)
        if len(shape) <= max(_PICTURE, editor.rank(target)) and _fits(editor, node, shape):
            _move(editor, node, source)
            editor.changes += 1
    return editor.close()


def _fits(editor: Editor, node: Node, shape: Shape) -> bool:
    """Whether `node` can do the same on `shape`; it gets its axis there."""
    if node.op in _UNARY:
        return all(name in editor.graph.constants for name in node.inputs[1:] if name)
    given, axis = editor.shape(node.inputs[0]), node.int("axis", -1) % editor.rank(node.inputs[0])
    for index, size in enumerate(shape):
        if size == given[axis] and prod(shape[index + 1 :]) == prod(given[axis + 1 :]):
            node.attributes["axis"] = index
            return True
    return False


def _move(editor: Editor, node: Node, source: str) -> None:
    target = node.outputs[0]
    name = editor.tensor(f"{target}_straight", editor.shape(source), editor.graph.dtypes[target])
    kept_quantization.renamed(editor.graph, target, name)
    editor.retarget(node, target, name)
    editor.redirect(target, name)
    editor.set_inputs(node, [source, *node.inputs[1:]])
