"""x · a · b -> x · (a b), and x + a + b -> x + (a + b), for constants a and b.

Why: box decoding and preprocessing multiply by several constants one after the other.
Legal: the tensor between has no other reader, no shape changes on the way, the new constant is no larger than
the larger one, and it is finite; a product that is too small for a normal number stays apart.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Array, Graph, Node
from modelbuild.graph.rewrite import Editor, merged

_TINY = np.finfo(np.float32).tiny


def run(graph: Graph) -> int:
    """Number of nodes removed."""
    editor = Editor(graph)
    for node in editor.nodes("Mul", "Add"):
        editor.changes += _merge(editor, node)
    return editor.close()


def _merge(editor: Editor, node: Node) -> bool:
    index = _constant_side(editor, node)
    if index is None:
        return False
    source = node.inputs[1 - index]
    earlier = editor.producer(source, node.op)
    side = _constant_side(editor, earlier) if earlier is not None and editor.private(source) else None
    if earlier is None or side is None:
        return False
    value = _together(node.op, editor.constant(earlier, side), editor.constant(node, index))
    made = {editor.shape(name) for name in (earlier.inputs[1 - side], earlier.outputs[0], node.outputs[0])}
    if value is None or len(made) > 1:
        return False
    name = editor.add_constant(f"{node.name}_constant", value)
    editor.set_inputs(node, [earlier.inputs[1 - side], name])
    node.origin = merged(earlier.origin, node.origin)
    editor.remove(earlier)
    return True


def _constant_side(editor: Editor, node: Node) -> int | None:
    """Which input of `node` is a float32 constant; the other is none."""
    for index in (1, 0):
        value = editor.constant(node, index)
        if value is not None and value.dtype == np.float32 and editor.constant(node, 1 - index) is None:
            return index
    return None


def _together(op: str, first: Array | None, second: Array | None) -> Array | None:
    assert first is not None and second is not None
    a, b = first.astype(np.float64), second.astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        value = (a * b if op == "Mul" else a + b).astype(np.float32)
    size = np.abs(value)
    if value.size > max(a.size, b.size) or not all(np.isfinite(part).all() for part in (a, b, size)):
        return None
    if op == "Mul" and np.any((size < _TINY) & (a * b != 0)):
        return None
    return value
