"""Conv and pools on [N, C, L] -> the same on [N, C, 1, L], between Reshapes.

Why: arrays are made for pictures; a signal is a picture one line high.
Legal: a window of height 1 without padding above and below reads the same cells.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rewrite import Editor

_OPS = ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
_NEUTRAL = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0}


def run(graph: Graph) -> int:
    """Number of nodes moved to rank 4."""
    editor = Editor(graph)
    for node in editor.nodes(*_OPS):
        plain = "auto_pad" not in node.attributes and "output_shape" not in node.attributes
        weights = editor.constant(node, 1)
        if editor.rank(node.inputs[0]) == 3 and plain and len(node.outputs) == 1:
            if len(node.inputs) > 1 and weights is None:
                continue
            _move(editor, node)
            editor.changes += 1
    return editor.close()


def _move(editor: Editor, node: Node) -> None:
    source, target = node.inputs[0], node.outputs[0]
    inner = [(*editor.shape(name)[:2], 1, editor.shape(name)[2]) for name in (source, target)]
    tall, made = editor.tensor(f"{source}_4d", inner[0]), editor.tensor(f"{target}_4d", inner[1])
    to_tall = editor.add_constant(f"{node.name}_4d", np.array(inner[0], np.int64))
    back = editor.add_constant(f"{node.name}_shape", np.array(editor.shape(target), np.int64))
    inputs = list(node.inputs)
    if len(inputs) > 1:
        inputs[1] = editor.laid_out(f"{node.name}_kernel", inputs[1], lambda w: w[:, :, np.newaxis, :])
    attributes = dict(node.attributes)
    for name, value in _NEUTRAL.items():
        if name in attributes:
            attributes[name] = [value, *node.ints(name, [])]
    if "pads" in attributes:
        begin, end = node.ints("pads", [])
        attributes["pads"] = [0, begin, 0, end]
    editor.insert(node, "Reshape", [source, to_tall], [tall])
    editor.insert(node, node.op, [tall, *inputs[1:]], [made], attributes)
    editor.replace(node, "Reshape", [made, back])
