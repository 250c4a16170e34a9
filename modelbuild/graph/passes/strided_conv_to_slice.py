"""Conv of large stride -> Conv of stride 1 and a Slice of every so-manyth cell.

Why: an array that walks cell by cell has strides of 2 as a pool that keeps one cell of four, but not behind a
depthwise Conv, and no larger ones; the Conv itself it has.
Legal: the cells that the Slice keeps are those that the Conv would have computed. An activation that alone
reads the Conv stays beside it: it is computed cell by cell.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import sole_reader
from modelbuild.graph.rewrite import Editor

_ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu")
_POOLED = 2  # the stride that a pool makes behind a Conv that is not depthwise


def run(graph: Graph) -> int:
    """Number of Convs that walk cell by cell now."""
    editor = Editor(graph)
    for node in editor.nodes("Conv"):
        shape = editor.shape(node.inputs[0])
        strides, is_explicit = node.ints("strides", [1] * (len(shape) - 2)), "auto_pad" not in node.attributes
        depthwise = node.int("group", 1) == shape[1] > 1
        uneven = len(set(strides)) > 1
        is_large = max(strides) > 1 and (depthwise or uneven or max(strides) > _POOLED)
        if len(shape) == 4 and is_explicit and is_large:
            _slice(editor, node, strides)
    return editor.close()


def _slice(editor: Editor, node: Node, strides: list[int]) -> None:
    size = editor.shape(node.inputs[0])[2:]
    kernel = node.ints("kernel_shape", []) or editor.shape(node.inputs[1])[2:]
    pads, dilations = node.ints("pads", [0] * 4), node.ints("dilations", [1, 1])
    whole = [size[k] + pads[k] + pads[2 + k] - dilations[k] * (kernel[k] - 1) for k in range(2)]
    last = _activation(editor, node) or node
    output = last.outputs[0]
    shape = (*editor.shape(output)[:2], *whole)
    every = editor.tensor(f"{output}_every", shape, editor.graph.dtypes[output])
    values = {"starts": [0, 0], "ends": whole, "axes": [2, 3], "steps": strides}
    constants = [
        editor.add_constant(f"{node.name}_{what}", np.array(value, np.int64))
        for what, value in values.items()
    ]
    node.attributes["strides"] = [1, 1]
    if last is not node:
        editor.graph.shapes[node.outputs[0]] = shape
    editor.retarget(last, output, every)
    editor.insert(last, "Slice", [every, *constants], [output], behind=True)
    editor.changes += 1


def _activation(editor: Editor, node: Node) -> Node | None:
    output = node.outputs[0]
    reader = sole_reader(editor, output, *_ACTIVATIONS)
    return reader if reader is not None and reader.inputs[0] == output else None
