"""One form for Resize: whole factors as scales, nearest as `asymmetric` and `floor`, linear as `half_pixel`.

Why: exporters write the same enlargement in a dozen ways, and chips know one or two.
Legal: with a whole factor n, nearest takes cell i // n, whether coordinates are half_pixel (rounded either
way) or asymmetric (rounded down). pytorch_half_pixel is half_pixel where an output has more than one cell.
A picture of one cell is repeated, in any mode. What is no enlargement by whole factors stays.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.graph.rewrite import Editor

_REPEATED: dict[str, Attribute] = {
    "mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"
}  # fmt: skip
_HALF_PIXEL = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")


def run(graph: Graph) -> int:
    """Number of nodes changed."""
    editor = Editor(graph)
    for node in editor.nodes("Resize"):
        given, made = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
        if 0 in (*given, *made):
            continue
        factors = [after // before for before, after in zip(given, made, strict=True)]
        scales, sizes = editor.constant(node, 2), editor.constant(node, 3)
        plain = node.attributes.get("coordinate_transformation_mode") != "tf_crop_and_resize"
        known = sizes is not None or (scales is not None and np.array_equal(scales, factors))
        if not plain or not known or any(a != b * n for b, a, n in zip(given, made, factors, strict=True)):
            continue
        changed = _attributes(node, given, made)
        if scales is None or len(node.inputs) > 3 or node.inputs[1]:
            name = editor.add_constant(f"{node.name}_scales", np.array(factors, np.float32))
            editor.set_inputs(node, [node.inputs[0], "", name])
            changed = True
        editor.changes += changed
    return editor.close()


def _attributes(node: Node, given: tuple[int, ...], made: tuple[int, ...]) -> bool:
    mode = node.attributes.get("mode", "nearest")
    coordinates = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    rounding = node.attributes.get("nearest_mode", "round_prefer_floor")
    moved = [(before, after) for before, after in zip(given, made, strict=True) if before != after]
    same = all(before == 1 for before, _ in moved) or (
        mode == "nearest"
        and (
            (coordinates in _HALF_PIXEL[:2] and rounding in ("round_prefer_floor", "round_prefer_ceil"))
            or (coordinates == "asymmetric" and rounding == "floor")
        )
    )
    wanted = dict(node.attributes)
    if same and moved:
        wanted = dict(_REPEATED)
    elif mode == "linear" and coordinates == "pytorch_half_pixel" and all(after > 1 for _, after in moved):
        wanted["coordinate_transformation_mode"] = "half_pixel"
    changed = wanted != node.attributes
    node.attributes = wanted
    return changed
