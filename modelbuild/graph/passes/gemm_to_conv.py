"""Gemm with constant weights -> Reshape, 1x1 Conv, Reshape.

Why: some arrays compute convolutions only.
Legal: x is [N, K]; as [N, K, 1, 1] the products are the same.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Attribute, Graph
from modelbuild.graph.passes import affine
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of Gemms replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Gemm"):
        if not affine.foldable(editor, node):
            continue
        source, target = node.inputs[0], node.outputs[0]
        inner = [(*editor.shape(name), 1, 1) for name in (source, target)]
        spatial, convolved = editor.tensor(f"{source}_4d", inner[0]), editor.tensor(f"{target}_4d", inner[1])
        to_spatial = editor.add_constant(f"{node.name}_4d", np.array(inner[0], np.int64))
        back = editor.add_constant(f"{node.name}_shape", np.array(editor.shape(target), np.int64))
        kernel = editor.laid_out(f"{node.name}_kernel", node.inputs[1], lambda w: w[:, :, None, None])
        window = {"kernel_shape": [1, 1], "strides": [1, 1], "dilations": [1, 1]}
        attributes: dict[str, Attribute] = {**window, "pads": [0] * 4, "group": 1}
        editor.insert(node, "Reshape", [source, to_spatial], [spatial])
        editor.insert(node, "Conv", [spatial, kernel, *node.inputs[2:]], [convolved], attributes)
        editor.replace(node, "Reshape", [convolved, back])
        editor.changes += 1
    return editor.close()
