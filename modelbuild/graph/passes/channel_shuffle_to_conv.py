"""Reshape, Transpose, Reshape that only mix channels -> a 1x1 Conv whose weights are 0 and 1.

Why: ShuffleNet's channel shuffle goes through five dimensions, which no NPU transposes; a 1x1 Conv it runs.
Legal: the Transpose exchanges the two parts of the channels and nothing else, and nobody else reads what lies
between. Each output is one input times 1 plus zeros: exact for finite numbers.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.selection import select
from modelbuild.graph.rewrite import Editor, merged

_SWAP = [0, 2, 1, 3, 4]


def run(graph: Graph) -> int:
    """Number of shuffles replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Reshape"):
        transpose = editor.producer(node.inputs[0], "Transpose")
        first = editor.producer(transpose.inputs[0], "Reshape") if transpose is not None else None
        if transpose is not None and first is not None and _is_shuffle(editor, first, transpose, node):
            _replace(editor, first, transpose, node)
            editor.changes += 1
    return editor.close()


def _is_shuffle(editor: Editor, first: Node, transpose: Node, last: Node) -> bool:
    source, inner = editor.shape(first.inputs[0]), editor.shape(first.outputs[0])
    parted = len(source) == 4 and len(inner) == 5 and inner[1] * inner[2] == source[1]
    same = parted and (inner[0], *inner[3:]) == (source[0], *source[2:])
    private = editor.private(first.outputs[0]) and editor.private(transpose.outputs[0])
    swaps = transpose.attributes.get("perm") == _SWAP
    is_float = editor.graph.dtypes[first.inputs[0]] == np.dtype(np.float32)
    return same and private and swaps and is_float and editor.shape(last.outputs[0]) == source


def _replace(editor: Editor, first: Node, transpose: Node, last: Node) -> None:
    """Channel j * groups + i of the result is channel i * size + j of the source."""
    source = first.inputs[0]
    groups, size = editor.shape(first.outputs[0])[1:3]
    order = np.arange(groups * size).reshape(groups, size).T.reshape(-1)
    last.origin = merged(first.origin, transpose.origin, last.origin)
    select(editor, last, source, order.tolist())
    editor.remove(transpose)
    editor.remove(first)
