"""x - c -> x + (-c), and x / c -> x · (1 / c), for constants c.

Why: addition and multiplication fold into convolutions, and every chip has them.
Legal: negation is exact; 1 / c is rounded once, so c must be a normal number whose inverse is one too.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor

_TINY = np.finfo(np.float32).tiny


def run(graph: Graph) -> int:
    """Number of nodes changed."""
    editor = Editor(graph)
    for node in editor.nodes("Sub", "Div"):
        value = editor.constant(node, 1)
        if value is None or value.dtype != np.float32:
            continue
        number = value.astype(np.float32)
        if node.op == "Sub":
            name = editor.add_constant(f"{node.name}_negative", -number)
            editor.replace(node, "Add", [node.inputs[0], name])
        elif np.all((np.abs(number) >= _TINY) & (np.abs(number) <= 1 / _TINY)):
            name = editor.add_constant(f"{node.name}_inverse", np.float32(1) / number)
            editor.replace(node, "Mul", [node.inputs[0], name])
        else:
            continue
        editor.changes += 1
    return editor.close()
