"""Mul and Add of one constant a channel -> into the Conv, ConvTranspose or Gemm before, or the Conv after.

Why: biases that exporters write as Add (CNTK, TensorFlow), scales left by normalisation and preprocessing.
Legal: weights constant and nothing else reads the tensor between. An Add goes into the layer after only
without padding; a Mul always.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes import affine
from modelbuild.graph.rewrite import Editor, merged


def run(graph: Graph) -> int:
    """Number of nodes folded."""
    editor = Editor(graph)
    editor.changes += sum(_into_earlier(editor, node) for node in editor.nodes("Mul", "Add"))
    left = reversed(list(editor.nodes("Mul", "Add")))  # the nearest to the layer after it goes first
    editor.changes += sum(_into_later(editor, node) for node in left)
    return editor.close()


def _factors(editor: Editor, node: Node) -> tuple[str, affine.Vector, affine.Vector] | None:
    """The tensor that `node` changes, and scale and shift a channel."""
    for index in (1, 0):
        value, other = editor.constant(node, index), node.inputs[1 - index]
        shape = editor.shape(other)
        if value is None or len(shape) < 2 or shape != editor.shape(node.outputs[0]):
            continue
        vector = affine.per_channel(value, len(shape), shape[1])
        if vector is not None:
            one, zero = np.ones(shape[1]), np.zeros(shape[1])
            return (other, vector, zero) if node.op == "Mul" else (other, one, vector)
    return None


def _into_earlier(editor: Editor, node: Node) -> bool:
    found = _factors(editor, node)
    if found is None or not editor.private(found[0]):
        return False
    earlier = editor.producer(found[0], *affine.LINEAR)
    if earlier is None or not affine.foldable(editor, earlier):
        return False
    affine.scale_output(editor, earlier, found[1], found[2])
    return editor.absorb(earlier, node)


def _into_later(editor: Editor, node: Node) -> bool:
    found, target = _factors(editor, node), node.outputs[0]
    later = None if found is None else affine.layer_behind(editor, target, is_shifted=bool(found[2].any()))
    if found is None or later is None:
        return False
    affine.scale_input(editor, later, found[1], found[2])
    later.origin = merged(node.origin, later.origin)
    return editor.bypass(node, found[0])
