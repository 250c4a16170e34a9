"""Resize by straight lines to half, twice or three times the size -> AveragePools behind repeated cells.

Why: exporters write `half_pixel` coordinates, whose first cell lies before the first cell of the input, or
behind it; some NPUs take no such start, and all of them repeat cells and average windows of 2x2 and 3x3.
Legal: rows and columns by the same factor, in `half_pixel`. Half the size: the mean of each 2x2 cells. With
cells repeated three times the mean of three neighbours is the straight line, with cells repeated twice the
mean of two neighbours twice; at the border the mean of what is there is the cell itself, which is what
clamping gives. It differs in rounding only.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from modelbuild.graph.model import Attribute, Graph, Node, Shape
from modelbuild.graph.rewrite import Editor

_HALF = Fraction(1, 2)
# factor -> the pads of each AveragePool on either side; their windows are as wide as the factor
_POOLS: Mapping[Fraction, tuple[int, ...]] = {Fraction(2): (1, 0), Fraction(3): (1,)}
_REPEATED: Mapping[str, Attribute] = {
    "mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"
}  # fmt: skip


def run(graph: Graph) -> int:
    """Number of Resizes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Resize"):
        before, after = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
        factor = _factor(editor, node, before, after)
        if factor is None or not _is_plain(node, after):
            continue
        if factor == _HALF:
            editor.replace(node, "AveragePool", [node.inputs[0]], _window(2, 2, 0))
        elif factor in _POOLS:
            _repeat(editor, node, int(factor), _POOLS[factor])
        else:
            continue
        editor.changes += 1
    return editor.close()


def _factor(editor: Editor, node: Node, before: Shape, after: Shape) -> Fraction | None:
    """How large rows and columns become, if that is the same for both and neither is rounded."""
    if len(before) != 4 or before[:2] != after[:2] or 0 in (*before, *after):
        return None
    if editor.graph.dtypes[node.inputs[0]] != np.float32:  # ONNX averages no integers
        return None
    rows, columns = (Fraction(new, old) for old, new in zip(before[2:], after[2:], strict=True))
    scales = editor.constant(node, 2)
    told = scales is None or not scales.size or np.array_equal(scales, [1, 1, float(rows), float(rows)])
    return rows if rows == columns and told else None


def _is_plain(node: Node, after: Shape) -> bool:
    blurs = node.attributes.get("antialias", 0) or node.attributes.get("exclude_outside", 0)
    coordinates = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    half = coordinates == "half_pixel" or (coordinates == "pytorch_half_pixel" and min(after[2:]) > 1)
    return node.attributes.get("mode") == "linear" and half and not blurs


def _repeat(editor: Editor, node: Node, factor: int, pads: tuple[int, ...]) -> None:
    shape = editor.shape(node.outputs[0])
    scales = editor.add_constant(f"{node.name}_scales", np.array([1, 1, factor, factor], np.float32))
    made = editor.tensor(f"{node.outputs[0]}_repeated", shape)
    editor.insert(node, "Resize", [node.inputs[0], "", scales], [made], dict(_REPEATED))
    for pad in pads[:-1]:
        size = [cells + 2 * pad - factor + 1 for cells in shape[2:]]
        source, made = made, editor.tensor(f"{node.outputs[0]}_averaged", (*shape[:2], *size))
        editor.insert(node, "AveragePool", [source], [made], _window(factor, 1, pad))
    editor.replace(node, "AveragePool", [made], _window(factor, 1, pads[-1]))


def _window(size: int, stride: int, pad: int) -> dict[str, Attribute]:
    return {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
