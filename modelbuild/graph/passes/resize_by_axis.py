"""Resize of rows and columns -> Resize of the rows, then of the columns.

Why: a chip may scale along one axis at a time.
Legal: to the nearest cell and by straight lines each axis is scaled by itself, and no cell is from outside.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rewrite import Editor

_ROWS, _COLUMNS = 2, 3
_SCALES, _SIZES = 2, 3  # inputs of Resize


def run(graph: Graph) -> int:
    """Number of Resizes split."""
    editor = Editor(graph)
    for node in editor.nodes("Resize"):
        before, after = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
        changed = [axis for axis, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        if changed == [_ROWS, _COLUMNS] and len(before) == 4 and _separable(node):
            _split(editor, node)
    return editor.close()


def _separable(node: Node) -> bool:
    mode = _text(node, "mode", "nearest")
    crops = _text(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"
    blurs = node.attributes.get("antialias", 0) or node.attributes.get("exclude_outside", 0)
    return mode in ("nearest", "linear") and not crops and not blurs


def _text(node: Node, name: str, default: str) -> str:
    value = node.attributes.get(name, default)
    return value.decode() if isinstance(value, bytes) else str(value)


def _split(editor: Editor, node: Node) -> None:
    scales, sizes = editor.constant(node, _SCALES), editor.constant(node, _SIZES)
    source = node.inputs[0]
    shape = list(editor.shape(source))
    shape[_ROWS] = editor.shape(node.outputs[0])[_ROWS]
    if scales is not None and scales.size == 4:
        first = np.array([1, 1, scales[_ROWS], 1], np.float32)
        second = np.array([1, 1, 1, scales[_COLUMNS]], np.float32)
        index = _SCALES
    elif sizes is not None:
        first = np.array(shape, np.int64)
        second = np.array(editor.shape(node.outputs[0]), np.int64)
        index = _SIZES
    else:
        return
    rows = editor.tensor(f"{node.outputs[0]}_rows", shape, editor.graph.dtypes[source])
    names = [
        editor.add_constant(f"{node.name}_{what}", value)
        for what, value in (("rows", first), ("columns", second))
    ]
    editor.insert(node, "Resize", _inputs(source, names[0], index), [rows], dict(node.attributes))
    editor.set_inputs(node, _inputs(rows, names[1], index))
    editor.changes += 1


def _inputs(source: str, constant: str, index: int) -> list[str]:
    return [source, *[""] * (index - 1), constant]
