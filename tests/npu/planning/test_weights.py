"""Bytes of constants of a region, from shapes."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.npu.planning.plan import Region
from modelbuild.npu.planning.weights import constant_size
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS


def size(kind: str, planes: int, rows: int, bits: int = 8) -> int:
    model = BUILDERS[kind](Dice(3, bits))
    return constant_size(model, model.operators[0], Region(model.outputs[0], 0, planes, 0, rows))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_convolution_needs_filters_and_records_of_its_planes(bits: int) -> None:
    model = BUILDERS["conv"](Dice(3, bits))
    weight = model.constants[model.operators[0].constants["weight"]]
    one = int(np.prod(weight.shape[1:])) * bits // 8 + 9
    found = [size("conv", planes, rows, bits) for planes, rows in ((1, 1), (3, 1), (3, 2))]
    assert found == [
        one,
        3 * one,
        3 * one,
    ]


def test_a_resize_needs_its_rows_and_all_columns() -> None:
    model = BUILDERS["resize_linear"](Dice(3))
    columns = model.tensors[model.outputs[0]].shape[3]
    assert size("resize_linear", 2, 3) == 8 * (3 + columns)


def test_cell_by_cell() -> None:
    found = [size(kind, 7, 2) for kind in ("add", "multiply", "prelu", "table", "max_pool")]
    assert found == [
        9,
        5,
        70,
        256,
        0,
    ]
