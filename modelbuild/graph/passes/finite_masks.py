"""Minus infinity in a constant that is added before a Softmax -> the lowest float32.

Why: attention hides what must not be looked at by adding minus infinity, which no number format holds.
Legal: the exponential of either is 0, and Softmax alone reads the sum. Rows of minus infinity alone, which
give no numbers, are left as they are.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph
from modelbuild.graph.passes.matching import sole_reader
from modelbuild.graph.rewrite import Editor

_LOWEST = np.float32(np.finfo(np.float32).min)


def run(graph: Graph) -> int:
    """Number of constants replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Add"):
        for index in (0, 1):
            value = editor.constant(node, index)
            if value is None or value.dtype != np.float32:
                continue
            hidden = np.isneginf(value.astype(np.float32))
            if (
                hidden.any()
                and not hidden.all(axis=-1).any()
                and sole_reader(editor, node.outputs[0], "Softmax")
            ):
                inputs = list(node.inputs)
                finite = np.where(hidden, _LOWEST, value.astype(np.float32))
                inputs[index] = editor.add_constant(f"{node.inputs[index]}_finite", finite)
                editor.set_inputs(node, inputs)
                editor.changes += 1
    return editor.close()
