"""Boxes and tilings: they fit, they cover, and they do not waste."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.tiling import (
    ConvolutionShape,
    DoesNotFit,
    boxes,
    largest_box,
    plan_convolution,
    plan_strips,
)
from tests.npu.simulator import hand_written

RATES = replace(
    hand_written.RATES,
    macs=1024 * 256,
    macs_pointwise=1024 * 256,
    macs_depthwise=1024 * 64,
    elements=1024 * 16,
    read_bytes=1024 * 4,
    write_bytes=1024 * 4,
    weight_bytes=1024 * 4,
    layer_overhead=100,
)
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


def convolution(**changes: int) -> ConvolutionShape:
    values = {
        "batch": 1,
        "groups": 1,
        "group_inputs": 32,
        "group_outputs": 64,
        "input_height": 56,
        "input_width": 56,
        "output_height": 56,
        "output_width": 56,
        "kernel_height": 3,
        "kernel_width": 3,
        "stride_height": 1,
        "dilation_height": 1,
        "input_bytes": 1,
        "weight_bytes": 1,
        "output_bytes": 1,
    }
    return ConvolutionShape(**(values | changes))


@given(st.integers(6_000, 1 << 21), st.sampled_from([1, 2]), st.sampled_from([1, 2, 3]))
def test_convolution_tiles_fit(sram: int, stride: int, batch: int) -> None:
    shape = convolution(output_height=56 // stride, stride_height=stride, batch=batch)
    tiling = plan_convolution(shape, sram, RATES)
    assert tiling.sram <= sram
    assert tiling.input_size >= 32 * shape.input_rows(tiling.rows) * 56
    assert tiling.weight_size >= tiling.group_outputs * (32 * 9 + 9)


def test_more_sram_is_never_slower_by_the_estimate() -> None:
    small, large = (plan_convolution(convolution(), sram, RATES) for sram in (8_000, 1 << 20))
    assert large.rows * large.group_outputs > small.rows * small.group_outputs


def test_a_convolution_that_cannot_fit() -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan_convolution(convolution(), 1000, RATES)
    assert caught.value.needed == 3 * 56 * 32 + 304 + 64


def test_groups_are_cut_whole_or_within() -> None:
    shape = convolution(groups=16, group_inputs=2, group_outputs=4)
    for sram in (700, 1500, 1 << 20):
        tiling = plan_convolution(shape, sram, RATES)
        assert tiling.groups == 1 or tiling.group_outputs == 4
