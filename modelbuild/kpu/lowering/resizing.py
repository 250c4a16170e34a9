"""Resize by lines between neighbours, in floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.kpu.lowering.lowering import FLOATS, Lowering, limits
from modelbuild.kpu.lowering.moves import Moves
from modelbuild.quantize.builders.resize import axis_lines, linear_cells

_FLAGS = {
    "asymmetric": (0, 0),
    "align_corners": (1, 0),
}


def bilinear(lowering: Lowering) -> None:
    """By the runtime's own Resize where that takes the same cells; else as two products with matrices."""
    moves = Moves(lowering, FLOATS)
    x, y = moves.tensor(lowering.node.inputs[0]), moves.output()
    if len(x.shape) != 4 or x.shape[:2] != y.shape[:2]:
        lowering.fail("linear resizing works on the last two of four axes")
    mode = str(lowering.node.attributes.get("coordinate_transformation_mode", "half_pixel"))
    if mode in _FLAGS and (mode != "asymmetric" or _fills(moves)):
        corners, half = _FLAGS[mode]
        lowering.emit("resize_bilinear", (x,), y, {"align_corners": corners, "half_pixel": half})
        return
    rows, columns = (_matrix(moves, axis, x.shape[axis]) for axis in (2, 3))
    channels = x.shape[0] * x.shape[1]
    flat = lowering.between(x, (channels, *x.shape[2:]), "flat")
    lowering.emit("reshape", (x,), flat, {})
    wide = lowering.between(x, (channels, x.shape[2], y.shape[3]), "wide")
    across = lowering.constant(lowering.parts.names.fresh(f"{y.name}/columns"), columns)
    lowering.emit("matmul", (flat, across), wide, {}, _nothing(y.shape[3]))
    high = lowering.between(x, (channels, y.shape[2], y.shape[3]), "high")
    down = lowering.constant(lowering.parts.names.fresh(f"{y.name}/rows"), np.ascontiguousarray(rows.T))
    lowering.emit("matmul", (down, wide), high, {}, _nothing(y.shape[3]))
    lowering.emit("reshape", (high,), y, {})


def _fills(moves: Moves) -> bool:
    """Whether rows and columns are scaled by what the runtime works with, cells out / cells in."""
    return all(np.float32(scale) == np.float32(out / size) for size, out, scale in axis_lines(moves)[2:])


def _matrix(moves: Moves, axis: int, size: int) -> NDArray[np.float32]:
    """[cells in, cells out]: the share of each cell in each place."""
    cells = linear_cells(moves, axis)
    matrix = np.zeros((size, len(cells)), np.float32)
    for place, (first, second, share) in enumerate(cells):
        matrix[first, place] += np.float32(1 - share)
        matrix[second, place] += np.float32(share)
    return matrix


def _nothing(columns: int) -> dict[str, NDArray[np.float32]]:
    return {"bias": np.zeros(columns, np.float32), **limits()}
