"""Conv of large stride -> Conv of stride 1 and a Slice of every so-manyth cell.

Why: an array that walks cell by cell has strides of 2 as a pool that keeps one cell of four, but not behind a
depthwise Conv, and no larger ones; the Conv itself it has.
Legal: the cells that the Slice keeps are those that the Conv would have computed.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rewrite import Editor

_POOLED = 2  # the stride that a pool makes behind a Conv that is not depthwise


def run(graph: Graph) -> int:
    """Number of Convs that walk cell by cell now."""
    editor = Editor(graph)
    for node in editor.nodes("Conv"):
        shape = editor.shape(node.inputs[0])
        strides = node.ints("strides", [1] * (len(shape) - 2))
        depthwise = node.int("group", 1) == shape[1] > 1
        uneven = len(set(strides)) > 1
        if len(shape) == 4 and max(strides) > 1 and (depthwise or uneven or max(strides) > _POOLED):
            _slice(editor, node, strides)
    return editor.close()


def _slice(editor: Editor, node: Node, strides: list[int]) -> None:
    kept, (weight, output) = editor.shape(node.outputs[0]), (editor.shape(node.inputs[1]), node.outputs[0])
    size = editor.shape(node.inputs[0])
    pads, dilations = node.ints("pads", [0] * 4), node.ints("dilations", [1, 1])
    whole = [
        size[2 + axis] + pads[axis] + pads[2 + axis] - dilations[axis] * (weight[2 + axis] - 1)
        for axis in range(2)
    ]
    every = editor.tensor(f"{output}_every", (*kept[:2], *whole))
    values = {"starts": [0, 0], "ends": whole, "axes": [2, 3], "steps": strides}
    constants = [
        editor.add_constant(f"{node.name}_{what}", np.array(value, np.int64))
        for what, value in values.items()
    ]
    attributes = {**node.attributes, "strides": [1, 1]}
    editor.insert(node, "Conv", list(node.inputs), [every], attributes)
    editor.replace(node, "Slice", [every, *constants])
    editor.changes += 1
