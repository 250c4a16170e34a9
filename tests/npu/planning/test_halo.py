"""Rows and planes that an operator needs, against looking at every single cell."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.planning.forms import form, operand_form
from modelbuild.npu.planning.halo import Window, input_planes, needs_all_rows, reach, uniform_planes
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS
from tests.hypotheses import examples
from tests.npu.small_models import Maker


@examples(300)
@given(
    height=st.integers(1, 12),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    pads=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    step=st.integers(1, 3),
    data=st.data(),
)
def test_rows_of_a_window_are_those_that_a_cell_looks_at(
    height: int,
    kernel: int,
    stride: int,
    dilation: int,
    pads: tuple[int, int],
    step: int,
    data: st.DataObject,
) -> None:
    stretched = (height - 1) * step + 1
    span = (kernel - 1) * dilation + 1
    outputs = (stretched + sum(pads) - span) // stride + 1
    if outputs < 1:
        return
    first = data.draw(st.integers(0, outputs - 1))
    end = data.draw(st.integers(first + 1, outputs))
    under = range(first * stride - pads[0], (end - 1) * stride - pads[0] + span)  # holes between windows, too
    there = [place // step for place in under if 0 <= place < stretched and place % step == 0]
    low, high = Window(height, span, stride, pads[0], step).rows(first, end)
    assert 0 <= low <= high <= height
    assert list(range(low, high)) == there


@pytest.mark.parametrize("kind", ["conv", "max_pool", "average_pool", "resize_linear"])
@examples(30)
@given(seed=st.integers(0, 2**32 - 1))
def test_an_operator_needs_no_row_beyond_its_input(kind: str, seed: int) -> None:
    model = BUILDERS[kind](Dice(seed))
    (operator,) = model.operators
    found = reach(model, operator, 0)
    rows = form(model.tensors[operator.outputs[0]]).rows
    height = form(model.tensors[operator.inputs[0]]).rows
    spans = [found.rows(first, end) for first, end in itertools.combinations(range(rows + 1), 2)]
    assert all(0 <= low <= high <= height for low, high in spans)
    low, high = found.rows(0, rows)
    assert low == min(low for low, _ in spans) and high == max(high for _, high in spans)


def test_a_window_that_leaves_rows_out_is_told() -> None:
    assert needs_all_rows(Window(8, 2, 2, 0), 4, 8) and not needs_all_rows(Window(9, 2, 2, 0), 4, 9)
    assert not needs_all_rows(Window(8, 1, 2, 0), 4, 8)


def test_planes_of_groups_and_images() -> None:
    maker = Maker(x=(2, 6, 4, 4))
    maker.conv("y", "x", 9, group=3)
    model = maker.model("y")
    (operator,) = model.operators
    assert input_planes(model, operator, 0, 0, 9) == (0, 6)
    assert input_planes(model, operator, 0, 3, 3) == (2, 2)
    assert input_planes(model, operator, 0, 9 + 4, 1) == (6 + 2, 2)
    assert input_planes(model, operator, 0, 9 + 3, 6) == (6 + 2, 4)


@examples(200)
@given(data=st.data())
def test_planes_that_broadcast(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 5))
    target = tuple(data.draw(st.integers(1, 3)) for _ in range(rank))
    own = tuple(data.draw(st.sampled_from([1, extent])) for extent in target)[
        data.draw(st.integers(0, rank)) :
    ]
    maker = Maker(a=target, b=own)
    maker.plus("y", "a", "b")
    model = maker.model("y")
    seen = operand_form(model.tensors["b"], rank)
    whole = form(model.tensors["y"])
    block = uniform_planes(own, target)
    assert whole.planes % block == 0
    indices = np.broadcast_to(np.arange(seen.size).reshape((1,) * (rank - len(own)) + own), target).reshape(
        whole.planes, whole.rows, whole.columns
    )
    plane_of = indices[:, 0, 0] // (seen.rows * seen.columns)
    for start in range(0, whole.planes, block):
        first = data.draw(st.integers(start, start + block - 1))
        count = data.draw(st.integers(1, start + block - first))
        found, planes = input_planes(model, model.operators[0], 1, first, count)
        assert planes in (1, count)
        assert [found + (index if planes > 1 else 0) for index in range(count)] == list(
            plane_of[first : first + count]
        )
