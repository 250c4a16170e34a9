"""Resize to the nearest cell -> the same cells by coordinates `asymmetric` and nearest_mode `floor`.

Why: some chips have that form alone, and exporters write the same picture in others.
Legal: every cell of the output is the same cell of the input, by either formula of ONNX, reckoned in float32
as in float64, so that no rounding decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rewrite import Editor

_Numbers = NDArray[np.floating[Any]]
_FLOOR = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}

# (cells of the output counted from 0, sizes of output and input, scale) -> coordinates in the input
_COORDINATES: dict[str, Callable[[_Numbers, int, int, Any], _Numbers]] = {
    "half_pixel": lambda cells, new, old, scale: (cells + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda cells, new, old, scale: (
        (cells + 0.5) / scale - 0.5 if new > 1 else cells * 0
    ),
    "align_corners": lambda cells, new, old, scale: cells * (old - 1) / max(new - 1, 1),
    "asymmetric": lambda cells, new, old, scale: cells / scale,
}
_ROUNDING: dict[str, Callable[[_Numbers], _Numbers]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def run(graph: Graph) -> int:
    """Number of Resizes written in that form."""
    editor = Editor(graph)
    for node in editor.nodes("Resize"):
        now = {name: _text(node, name, default) for name, default in _DEFAULTS.items()}
        if now["mode"] != "nearest" or all(now[key] == value for key, value in _FLOOR.items()):
            continue
        before, after = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
        scales = editor.constant(node, 2)
        if _same_cells(now, before, after, scales):
            node.attributes |= _FLOOR
            editor.changes += 1
    return editor.close()


_DEFAULTS = {
    "mode": "nearest",
    "coordinate_transformation_mode": "half_pixel",
    "nearest_mode": "round_prefer_floor",
}


def _text(node: Node, name: str, default: str) -> str:
    value = node.attributes.get(name, default)
    return value.decode() if isinstance(value, bytes) else str(value)


def _same_cells(now: dict[str, str], before: tuple[int, ...], after: tuple[int, ...], scales: Any) -> bool:
    coordinates = now["coordinate_transformation_mode"]
    if coordinates not in _COORDINATES or now["nearest_mode"] not in _ROUNDING:
        return False
    given = None if scales is None or scales.size != len(before) else scales
    for axis, (old, new) in enumerate(zip(before, after, strict=True)):
        found = [
            _cells(form, rounding, old, new, None if given is None else given[axis], dtype)
            for form, rounding in ((coordinates, now["nearest_mode"]), ("asymmetric", "floor"))
            for dtype in (np.float32, np.float64)
        ]
        if any(not np.array_equal(found[0], other) for other in found[1:]):
            return False
    return True


def _cells(
    form: str, rounding: str, old: int, new: int, scale: Any, dtype: type[np.floating[Any]]
) -> _Numbers:
    factor = dtype(new) / dtype(old) if scale is None else dtype(scale)
    where = _COORDINATES[form](np.arange(new, dtype=dtype), new, old, factor)
    return np.clip(_ROUNDING[rounding](where), 0, old - 1)
