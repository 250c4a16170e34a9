"""One form for what limits values: Relu, or Clip with both bounds as constants.

Why: exporters write ReLU6 as Clip with or without bounds, as Min and Max, as Relu and Clip.
Legal: Max(x, c) and Min(x, c) with one number c are Clip; Clip(0, nothing) is Relu; two of them in a row
are one where nothing else reads the value between.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rewrite import Editor

_LOWEST, _HIGHEST = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)


def run(graph: Graph) -> int:
    """Number of nodes changed."""
    editor = Editor(graph)
    for node in editor.nodes("Clip", "Max", "Min", "Relu"):
        bounds = _bounds(editor, node)
        if bounds is None:
            continue
        source, low, high = bounds
        earlier = editor.producer(source, "Clip", "Relu")
        inner = _bounds(editor, earlier) if earlier is not None and editor.private(source) else None
        if earlier is not None and inner is not None and inner[2] >= low and inner[1] <= high:
            source, low, high = inner[0], max(low, inner[1]), min(high, inner[2])
            editor.set_inputs(node, [source, *node.inputs[1:]])
            node.origin = tuple(dict.fromkeys((*earlier.origin, *node.origin)))
            editor.remove(earlier)
            editor.changes += 1
        editor.changes += _write(editor, node, source, low, high)
    return editor.close()


def _bounds(editor: Editor, node: Node) -> tuple[str, float, float] | None:
    """The input, and the bounds that `node` puts on it; None where they are not constant numbers."""
    source = node.inputs[0]
    if editor.graph.dtypes[source] != np.float32:
        return None
    if node.op == "Relu":
        return source, 0.0, _HIGHEST
    if node.op == "Clip":
        low, high = _number(editor, node, 1, _LOWEST), _number(editor, node, 2, _HIGHEST)
        return None if low is None or high is None else (source, low, high)
    if len(node.inputs) != 2:
        return None
    for index in (0, 1):
        value = _number(editor, node, index, None)
        other = node.inputs[1 - index]
        if value is not None and editor.shape(other) == editor.shape(node.outputs[0]):
            return (other, value, _HIGHEST) if node.op == "Max" else (other, _LOWEST, value)
    return None


def _number(editor: Editor, node: Node, index: int, default: float | None) -> float | None:
    if index >= len(node.inputs) or not node.inputs[index]:
        return default
    value = editor.constant(node, index)
    if value is None or value.size != 1 or np.isnan(value.reshape(-1)[0]):
        return None
    return min(max(float(value.reshape(-1)[0]), _LOWEST), _HIGHEST)


def _write(editor: Editor, node: Node, source: str, low: float, high: float) -> bool:
    if low == 0.0 and high == _HIGHEST:
        if node.op == "Relu":
            return False
        editor.replace(node, "Relu", [source])
        return True
    wanted = [np.array(low, np.float32), np.array(high, np.float32)]
    found = [editor.constant(node, 1), editor.constant(node, 2)] if node.op == "Clip" else [None, None]
    if all(a is not None and a.shape == () and a == b for a, b in zip(found, wanted, strict=True)):
        return False
    names = [
        editor.add_constant(f"{node.name}_{which}", value)
        for which, value in zip(("min", "max"), wanted, strict=True)
    ]
    editor.replace(node, "Clip", [source, *names])
    return True
