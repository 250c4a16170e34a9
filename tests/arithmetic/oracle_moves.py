"""The oracle of operators that move values, from docs/arithmetic.md alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedOperator
from tests.arithmetic.oracle_grids import Grid, filled, finish


def concat(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    parts = []
    for x, zero, multiplier, shift in zip(
        inputs, p["input_zeros"], p["multipliers"], p["shifts"], strict=True
    ):
        parts.append(filled(x.shape, lambda i, x=x, z=zero, m=multiplier, s=shift: finish(p, x[i] - z, m, s)))
    return np.concatenate(parts, axis=p["axis"])


def reshape(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    return inputs[0].reshape(p["shape"])


def transpose(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x, perm = inputs[0], p["perm"]
    shape = tuple(x.shape[axis] for axis in perm)

    def cell(index: tuple[int, ...]) -> int:
        place = [0] * x.ndim
        for at, axis in zip(index, perm, strict=True):
            place[axis] = at
        return x[tuple(place)]

    return filled(shape, cell)


def slice_operator(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    lines = [list(range(*bounds)) for bounds in zip(p["starts"], p["ends"], p["steps"], strict=True)]
    x = inputs[0]
    shape = tuple(len(line) for line in lines)
    return filled(shape, lambda index: x[tuple(line[at] for line, at in zip(lines, index, strict=True))])


def pad(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x = inputs[0]
    shape = tuple(b + s + a for b, s, a in zip(p["before"], x.shape, p["after"], strict=True))

    def cell(index: tuple[int, ...]) -> int:
        place = tuple(at - before for at, before in zip(index, p["before"], strict=True))
        inside = all(0 <= at < size for at, size in zip(place, x.shape, strict=True))
        return x[place] if inside else p["value"]

    return filled(shape, cell)


def gather(op: FixedOperator, inputs: list[Grid], constants: dict[str, Grid]) -> Grid:
    p: Any = op.parameters
    x, axis, indices = inputs[0], p["axis"], constants["indices"]
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    return filled(shape, lambda i: x[(*i[:axis], indices[i[axis]], *i[axis + 1 :])])
