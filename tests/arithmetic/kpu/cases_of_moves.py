"""Random models of one operator of `kpu@1` that moves bytes or floats, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor, float_tensor
from tests.arithmetic.dice import Dice
from tests.arithmetic.kpu.made import byte_tensor, one

Tensor = Callable[[str, tuple[int, ...]], QuantizedTensor]


def _format(dice: Dice) -> Tensor:
    return (byte_tensor, float_tensor)[dice.whole(0, 1)]


def _shape(dice: Dice, rank: int = 0) -> tuple[int, ...]:
    return tuple(dice.whole(1, 5) for _ in range(rank or dice.whole(1, 4)))


def lookup(dice: Dice) -> FixedModel:
    shape = _shape(dice)
    table = dice.rng.integers(0, 256, 256).astype(np.uint8)
    return one("lookup", [byte_tensor("x", shape), byte_tensor("y", shape, 0.5, 3)], {}, {"table": table})


def reshape(dice: Dice) -> FixedModel:
    tensor, a, b, c = _format(dice), *_shape(dice, 3)
    return one("reshape", [tensor("x", (a, b, c)), tensor("y", (a * b, 1, c))])


def transpose(dice: Dice) -> FixedModel:
    tensor, shape = _format(dice), _shape(dice)
    order = tuple(int(axis) for axis in dice.rng.permutation(len(shape)))
    y = tensor("y", tuple(shape[axis] for axis in order))
    return one("transpose", [tensor("x", shape), y], {"permutation": order})


def slice_axes(dice: Dice) -> FixedModel:
    tensor, shape = _format(dice), _shape(dice)
    starts = tuple(dice.whole(0, size - 1) for size in shape)
    ends = tuple(dice.whole(start + 1, size) for start, size in zip(starts, shape, strict=True))
    steps = tuple(dice.whole(1, 3) for _ in shape)
    out = tuple(len(range(*part)) for part in zip(starts, ends, steps, strict=True))
    parameters = {"starts": starts, "ends": ends, "steps": steps}
    return one("slice", [tensor("x", shape), tensor("y", out)], parameters)


def concat(dice: Dice) -> FixedModel:
    tensor, shape = _format(dice), _shape(dice)
    axis = dice.whole(0, len(shape) - 1)
    lengths = [dice.whole(1, 4) for _ in range(dice.whole(1, 4))]
    parts = [(*shape[:axis], length, *shape[axis + 1 :]) for length in lengths]
    tensors = [tensor(f"x{number}", part) for number, part in enumerate(parts)]
    y = tensor("y", (*shape[:axis], sum(lengths), *shape[axis + 1 :]))
    return one("concat", [*tensors, y], {"axis": axis})


def join(dice: Dice) -> FixedModel:
    """Bytes of a scale and a zero point each."""
    shape, lengths = _shape(dice), [dice.whole(1, 4) for _ in range(dice.whole(1, 4))]
    axis = dice.whole(0, len(shape) - 1)
    formats = [(dice.whole(1, 9) / 16, dice.whole(0, 255)) for _ in lengths]
    parts = [(*shape[:axis], length, *shape[axis + 1 :]) for length in lengths]
    tensors = [
        byte_tensor(f"x{number}", part, *form)
        for number, (part, form) in enumerate(zip(parts, formats, strict=True))
    ]
    y = byte_tensor("y", (*shape[:axis], sum(lengths), *shape[axis + 1 :]), *formats[0])
    return one("join", [*tensors, y], {"axis": axis})


def pad(dice: Dice) -> FixedModel:
    tensor, shape = _format(dice), _shape(dice)
    mode = ("constant", "reflect", "symmetric", "edge")[dice.whole(0, 3)]
    most = [size - 1 if mode == "reflect" else size if mode == "symmetric" else 3 for size in shape]
    before, after = (tuple(dice.whole(0, reach) for reach in most) for _ in range(2))
    x = tensor("x", shape)
    y = tensor("y", tuple(sum(sizes) for sizes in zip(before, shape, after, strict=True)))
    value = np.array(dice.whole(0, 255), x.dtype)
    return one("pad", [x, y], {"before": before, "after": after, "mode": mode}, {"value": value})


def expand(dice: Dice) -> FixedModel:
    tensor, shape = _format(dice), _shape(dice)
    own = tuple(size if dice.whole(0, 1) else 1 for size in shape)[dice.whole(0, len(shape) - 1) :]
    return one("expand", [tensor("x", own), tensor("y", shape)])


def gather(dice: Dice) -> FixedModel:
    tensor, shape = _format(dice), _shape(dice)
    axis = dice.whole(0, len(shape) - 1)
    indices = dice.rng.integers(0, shape[axis], dice.whole(1, 6)).astype(np.int32)
    y = tensor("y", (*shape[:axis], len(indices), *shape[axis + 1 :]))
    return one("gather", [tensor("x", shape), y], {"axis": axis}, {"indices": indices})


def _resize(kind: str, tensor: Tensor, dice: Dice) -> FixedModel:
    shape = _shape(dice, 4)
    y = tensor("y", (*shape[:2], dice.whole(1, 12), dice.whole(1, 12)))
    corners = dice.whole(0, 1)
    centres: dict[str, Any] = {
        "align_corners": corners,
        "half_pixel": 0 if corners else dice.whole(0, 1),
    }
    return one(kind, [tensor("x", shape), y], centres)


def resize_nearest(dice: Dice) -> FixedModel:
    return _resize("resize_nearest", _format(dice), dice)


def resize_bilinear(dice: Dice) -> FixedModel:
    return _resize("resize_bilinear", float_tensor, dice)


BUILDERS: dict[str, Callable[[Dice], FixedModel]] = {
    "lookup": lookup,
    "reshape": reshape,
    "transpose": transpose,
    "slice": slice_axes,
    "concat": concat,
    "join": join,
    "pad": pad,
    "expand": expand,
    "gather": gather,
    "resize_nearest": resize_nearest,
    "resize_bilinear": resize_bilinear,
}
