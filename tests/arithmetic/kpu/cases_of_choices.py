"""Random models of one operator of `kpu@1` that makes whole numbers, from a seed, and what they make, cell by
cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, float_tensor, whole_tensor
from tests.arithmetic.dice import Dice
from tests.arithmetic.kpu.made import one

Array = NDArray[Any]
Place = tuple[int, ...]


def _lines(dice: Dice) -> tuple[tuple[int, ...], int]:
    shape = tuple(dice.whole(1, 5) for _ in range(dice.whole(1, 4)))
    return shape, dice.whole(0, len(shape) - 1)


def arg(dice: Dice) -> FixedModel:
    (shape, axis), keep = _lines(dice), dice.whole(0, 1)
    made = (*shape[:axis], *([1] if keep else []), *shape[axis + 1 :])
    tensors = [float_tensor("x", shape), whole_tensor("y", made, (32, 64)[dice.whole(0, 1)])]
    return one("arg", tensors, {"axis": axis, "keep": keep, "op": ("min", "max")[dice.whole(0, 1)]})


def topk(dice: Dice) -> FixedModel:
    shape, axis = _lines(dice)
    k = dice.whole(1, shape[axis])
    made = (*shape[:axis], k, *shape[axis + 1 :])
    model = one("topk", [float_tensor("x", shape), float_tensor("y", made)], {"axis": axis, "k": k})
    operator = replace(model.operators[0], outputs=("y", "places"))
    tensors = {**model.tensors, "places": whole_tensor("places", made, 64)}
    return replace(model, operators=(operator,), tensors=tensors, outputs=("y", "places"))


def convert(dice: Dice) -> FixedModel:
    shape, _ = _lines(dice)
    forms: list[Callable[[str], Any]] = [
        lambda name: float_tensor(name, shape),
        lambda name: whole_tensor(name, shape, 32),
        lambda name: whole_tensor(name, shape, 64),
    ]
    return one("convert", [forms[dice.whole(0, 2)]("x"), forms[dice.whole(0, 2)]("y")])


BUILDERS: dict[str, Callable[[Dice], FixedModel]] = {"arg": arg, "topk": topk, "convert": convert}


def along(x: Array, axis: int) -> Iterator[tuple[Place, list[float]]]:
    """Each line along an axis, and the place of its first cell."""
    for at in itertools.product(*(range(1 if a == axis else n) for a, n in enumerate(x.shape))):
        yield at, [float(x[(*at[:axis], place, *at[axis + 1 :])]) for place in range(x.shape[axis])]


def _arg_of(model: FixedModel, operator: FixedOperator, x: Array) -> list[Array]:
    p: Any = operator.parameters
    pick = min if p["op"] == "min" else max
    found = [line.index(pick(line)) for _, line in along(x, p["axis"])]
    y = model.tensors[operator.outputs[0]]
    return [np.array(found, y.dtype).reshape(y.shape)]


def _topk_of(model: FixedModel, operator: FixedOperator, x: Array) -> list[Array]:
    p: Any = operator.parameters
    shape = model.tensors[operator.outputs[0]].shape
    values, places = np.zeros(shape, np.float32), np.zeros(shape, np.int64)
    for at, line in along(x, p["axis"]):
        best = sorted(range(len(line)), key=lambda place: (line[place], place))[: p["k"]]
        for rank, place in enumerate(best):
            to = (*at[: p["axis"]], rank, *at[p["axis"] + 1 :])
            values[to], places[to] = line[place], place
    return [values, places]


def _convert_of(model: FixedModel, operator: FixedOperator, x: Array) -> list[Array]:
    y = model.tensors[operator.outputs[0]]

    def one_of(value: Any) -> Any:
        if y.floating:
            return np.float32(value)
        low, size = y.low, 1 << y.bits
        if x.dtype.kind == "f":
            whole = math.trunc(float(value)) if math.isfinite(value) else low
            return whole if low <= whole <= y.high else low
        return (int(value) - low) % size + low

    return [np.array([one_of(value) for value in x.flat], y.dtype).reshape(y.shape)]


ORACLES: dict[str, Callable[[FixedModel, FixedOperator, Array], list[Array]]] = {
    "arg": _arg_of,
    "topk": _topk_of,
    "convert": _convert_of,
}
