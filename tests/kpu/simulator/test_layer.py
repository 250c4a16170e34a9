"""The arithmetic of a layer against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel.kpu_tables import BatchNorm, Segment
from modelbuild.kpu.simulator.layer import Arithmetic, activated, rounded, sums, through

PLAIN = Arithmetic(0, 0, 0, 0, 0, 0)
LOWEST = Segment(-(1 << 35), 0, 0, 0)


def maps(*rows: list[int]) -> np.ndarray:
    """One channel."""
    return np.array([rows], np.uint8)


def table(*segments: Segment) -> tuple[Segment, ...]:
    """A table whose last segment fills it up."""
    return (*segments, *(segments[-1],) * (16 - len(segments)))


def test_one_by_one_adds_all_channels() -> None:
    x = np.array([[[1, 2]], [[3, 4]]], np.uint8)
    weights = np.array([[[[10]], [[100]]]], np.uint8)
    assert sums(x, weights, PLAIN, depthwise=False).tolist() == [[[310, 420]]]


def test_three_by_three_sees_the_pad_value_outside() -> None:
    weights = np.arange(9, dtype=np.uint8).reshape(1, 1, 3, 3)
    how = Arithmetic(pad_value=10, arg_x=0, shift_x=0, arg_w=0, shift_w=0, arg_add=0)
    # The only element lies under the middle, of weight 4; the other weights add up to 32.
    assert sums(maps([7]), weights, how, depthwise=False).tolist() == [[[7 * 4 + 10 * 32]]]


def test_the_kernel_is_not_turned() -> None:
    weights = np.array([[[[1, 0, 0], [0, 0, 0], [0, 0, 0]]]], np.uint8)
    found = sums(maps([1, 2, 3], [4, 5, 6], [7, 8, 9]), weights, PLAIN, depthwise=False)
    assert found.tolist() == [[[0, 0, 0], [0, 1, 2], [0, 4, 5]]]


def test_depthwise_keeps_channels_apart() -> None:
    x = np.array([[[1]], [[2]]], np.uint8)
    weights = np.array([[[[3]]], [[[5]]]], np.uint8)
    assert sums(x, weights, PLAIN, depthwise=True).tolist() == [[[3]], [[10]]]


def test_corrections_are_shifted_down_and_the_sum_counts_a_channel() -> None:
    x = np.array([[[5]], [[6]]], np.uint8)
    weights = np.array([[[[1]], [[2]]]], np.uint8)
    how = Arithmetic(0, arg_x=-3, shift_x=1, arg_w=-5, shift_w=2, arg_add=1000)
    # 17 products; -3 * 11 >> 1 = -17; -5 * 3 >> 2 = -4; 1000 for each of two channels.
    assert sums(x, weights, how, depthwise=False).tolist() == [[[17 - 17 - 4 + 2000]]]


def test_the_shift_rounds_ties_to_even_and_negative_values_down() -> None:
    quarters = np.arange(-9, 10)
    found = rounded(quarters, np.full(19, 2))
    assert dict(zip(quarters.tolist(), found.tolist(), strict=True)) == {
        -9: -4, -8: -2, -7: -2, -6: -2, -5: -3, -4: -1, -3: -1, -2: -2, -1: -2, 0: 0, 1: 0, 2: 0, 3: 1, 4: 1,
        5: 1, 6: 2, 7: 2, 8: 2, 9: 2,
    }  # fmt: skip
    assert rounded(quarters, np.zeros(19, np.int64)).tolist() == quarters.tolist()


def test_a_segment_begins_above_its_start() -> None:
    segments = table(LOWEST, Segment(100, 1, 0, 3), Segment(200, 1, 1, 50))
    values = np.array([99, 100, 101, 200, 201, 203, 204, 10_000])
    # 201: (1 >> 1, a tie, to 0) + 50; 203: 3 / 2 is a tie, to 2; 204: 2 + 50.
    assert through(values, segments).tolist() == [0, 0, 4, 103, 50, 52, 52, 255]


def test_segments_out_of_order_take_the_last_that_is_below() -> None:
    segments = table(LOWEST, Segment(50, 0, 0, 9), Segment(10, 0, 0, 7))
    assert through(np.array([5, 11, 60]), segments).tolist() == [0, 7, 7]


def test_batch_normalization_of_each_channel() -> None:
    total = np.array([[[-7]], [[-7]]])
    norms = [BatchNorm(3, 100, 1), BatchNorm(-2, 0, 0)]
    # -21 >> 1 = -11, + 100; 14.
    assert activated(total, norms, table(LOWEST, Segment(0, 1, 0, 0))).tolist() == [[[89]], [[14]]]


def test_more_than_36_bits_are_refused() -> None:
    norms = [BatchNorm(1 << 22, 0, 0)]
    segments = table(LOWEST, Segment(0, 0, 0, 0))
    activated(np.array([[[(1 << 13) - 1]]]), norms, segments)
    with pytest.raises(ModelbuildError, match="more than 36 bits"):
        activated(np.array([[[1 << 13]]]), norms, segments)


def test_a_value_below_all_segments_is_refused() -> None:
    with pytest.raises(ModelbuildError, match="below all segments"):
        through(np.array([-1]), table(Segment(0, 0, 0, 0)))
