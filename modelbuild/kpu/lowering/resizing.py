"""Resize by lines between neighbours, in floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.kpu.images import line_of
from modelbuild.kpu.lowering.limits import limits
from modelbuild.kpu.lowering.lowering import FLOATS, Lowering
from modelbuild.kpu.lowering.moving import Moves
from modelbuild.quantize.builders.resize import axis_lines, linear_cells

_FLAGS = {  # align_corners, half_pixel
    "asymmetric": (0, 0),
    "align_corners": (1, 0),
    "half_pixel": (0, 1),
    "pytorch_half_pixel": (0, 1),
}
_NEAR = 1e-4  # of a cell: as far off are places in float32


def bilinear(lowering: Lowering) -> None:
    """By the runtime's own Resize where that takes the same cells; else as two products with matrices."""
    moves = Moves(lowering, FLOATS)
    x, y = moves.tensor(lowering.node.inputs[0]), moves.output()
    if len(x.shape) != 4 or x.shape[:2] != y.shape[:2]:
        lowering.fail("linear resizing works on the last two of four axes")
    mode = str(lowering.node.attributes.get("coordinate_transformation_mode", "half_pixel"))
    corners, half = _FLAGS.get(mode, (0, 0))
    if mode in _FLAGS and all(_agrees(moves, axis, corners, half) for axis in (2, 3)):
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


def _agrees(moves: Moves, axis: int, corners: int, half: int) -> bool:
    """Whether the runtime, which knows the sizes alone, takes the places that the node asks for."""
    size, out, _ = axis_lines(moves)[axis]
    wanted = [first + float(share) for first, _, share in linear_cells(moves, axis)]
    line = line_of(size, out, corners=bool(corners), half=bool(half))
    found = np.clip(line.before + line.share, 0, size - 1)
    return bool(np.abs(found - wanted).max() <= _NEAR)


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
