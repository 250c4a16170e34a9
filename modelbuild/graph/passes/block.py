"""Reshape, Transpose, Reshape in place of one node: what DepthToSpace and SpaceToDepth are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelbuild.graph.model import Node
from modelbuild.graph.rewrite import Editor


def rearrange(editor: Editor, node: Node, split: Sequence[int], perm: Sequence[int]) -> None:
    """Replaces `node` by its input reshaped to `split`, transposed by `perm`, reshaped to its output."""
    source, target = node.inputs[0], node.outputs[0]
    dtype = editor.graph.dtypes[source]
    apart = editor.tensor(f"{target}_split", split, dtype)
    moved = editor.tensor(f"{target}_moved", [split[axis] for axis in perm], dtype)
    shapes = [
        editor.add_constant(f"{node.name}_shape", np.array(shape, np.int64))
        for shape in (split, editor.shape(target))
    ]
    editor.insert(node, "Reshape", [source, shapes[0]], [apart])
    editor.insert(node, "Transpose", [apart], [moved], {"perm": list(perm)})
    editor.replace(node, "Reshape", [moved, shapes[1]])
