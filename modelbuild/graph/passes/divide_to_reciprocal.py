"""x / y -> x · Reciprocal(y), where y is no constant.

Why: an integer machine has a table for 1 / y and a multiplier, and no division of one tensor by another.
Legal: it differs by one rounding of float32. Division of integers is left alone.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Div"):
        dividend, divisor = node.inputs
        if divisor in graph.constants or graph.dtypes[divisor] != np.float32:
            continue
        inverse = editor.tensor(f"{node.outputs[0]}_reciprocal", editor.shape(divisor))
        editor.insert(node, "Reciprocal", [divisor], [inverse])
        editor.replace(node, "Mul", [dividend, inverse])
        editor.changes += 1
    return editor.close()
