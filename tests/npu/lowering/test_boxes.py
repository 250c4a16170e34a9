"""Boxes of operators that loop by themselves: they fit, and they cover."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.lowering.boxes import boxes, largest_box, plan_strips
from modelbuild.npu.planning.does_not_fit import DoesNotFit

extents = st.lists(st.integers(1, 12), min_size=1, max_size=4)


@given(extents, st.integers(1, 3000))
def test_the_largest_box_fits_and_covers(shape: list[int], limit: int) -> None:
    box = largest_box(shape, math.prod, limit)
    assert math.prod(box) <= limit
    assert all(1 <= step <= extent for step, extent in zip(box, shape, strict=True))
    assert sum(math.prod(part) for _, part in boxes(shape, box)) == math.prod(shape)
    assert box == tuple(shape) if math.prod(shape) <= limit else math.prod(box) * 2 > limit // 2


def test_what_does_not_fit_says_what_it_needs() -> None:
    with pytest.raises(DoesNotFit) as caught:
        largest_box((4, 4), lambda box: 10 + math.prod(box), 8)
    assert caught.value.needed == 11
    with pytest.raises(DoesNotFit) as caught:
        plan_strips((4,), lambda box: 16 * box[0], 100, 110)
    assert caught.value.needed == 116


def test_strips_have_two_buffers_where_there_is_room() -> None:
    plan = plan_strips((64, 64), lambda box: 16 * math.prod(box), 64, 1 << 20)
    assert plan.buffers == 2 and len(list(boxes((64, 64), plan.box))) == 8
    assert plan_strips((4,), lambda box: box[0], 0, 1 << 20).buffers == 1
    assert plan_strips((4,), lambda box: 100 * box[0], 0, 100).buffers == 1
