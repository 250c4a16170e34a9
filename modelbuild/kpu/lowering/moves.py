"""Operators that move values: bytes where bytes are there or wanted, floats elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.kpu.lowering.lowering import BYTES, FLOATS, Lowering
from modelbuild.kpu.lowering.moving import Moves, Wanted, form_of
from modelbuild.kpu.lowering.resizing import bilinear
from modelbuild.quantize.builders import movement
from modelbuild.quantize.builders.resize import check_resize, nearest_cells


def move(lowering: Lowering, wanted: Wanted) -> None:
    """Whatever `quantize/builders/movement.py` has but Concat."""
    movement.BUILDERS[lowering.node.op](Moves(lowering, form_of(lowering, wanted)))  # type: ignore[arg-type]


def concat(lowering: Lowering, wanted: Wanted) -> None:
    """Bytes side by side at one scale where they are wanted, or all there at that scale; else floats."""
    node, name = lowering.node, lowering.step.outputs[0]
    inputs = node.inputs
    as_bytes = name in wanted
    if as_bytes:
        y = lowering.recorded(name)
        parts = [lowering.bytes_at(each, y) for each in inputs]
        out = lowering.new_bytes(name, y)
    elif _share(lowering, inputs):
        parts = [lowering.bytes(each) for each in inputs]
        out = lowering.new_bytes(name, parts[0])
    else:
        parts = [lowering.floats(each) for each in inputs]
        out = lowering.new_floats(name)
    lowering.emit("concat", parts, out, {"axis": node.int("axis", 0) % len(out.shape)})


def _share(lowering: Lowering, names: Sequence[str]) -> bool:
    if not all(lowering.has(name, BYTES) and not lowering.has(name, FLOATS) for name in names):
        return False
    return len({(x.scale, x.zero_point) for x in map(lowering.bytes, names)}) == 1


def resize(lowering: Lowering, wanted: Wanted) -> None:
    """Nearest neighbours are moved; of lines between neighbours, floats."""
    if check_resize(lowering) == "linear":
        bilinear(lowering)
        return
    moves = Moves(lowering, form_of(lowering, wanted))
    x, y = moves.tensor(lowering.node.inputs[0]), moves.output()
    cells = nearest_cells(moves)
    if len(x.shape) == 4 and all(_is_even(cells[axis], x.shape[axis], y.shape[axis]) for axis in range(4)):
        lowering.emit("resize_nearest", (x,), y, {"align_corners": 0, "half_pixel": 0})
    else:
        movement.gather_axes(moves, x, cells, y)


def _is_even(cells: NDArray[np.int64], size: int, out: int) -> bool:
    """Whether each cell is repeated equally often, which the runtime's own Resize does exactly."""
    return out % size == 0 and np.array_equal(cells, np.arange(out) // (out // size))


BUILDERS: dict[str, Callable[[Lowering, Wanted], None]] = {
    **{op: move for op in movement.BUILDERS if op != "Concat"},
    "Concat": concat,
    "Resize": resize,
    "Upsample": resize,
}
