"""Allocation by lifetime: no overlap, never worse than its greedy orders, the least peak of few buffers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.planning.allocate import Lifetime, allocate, lower_bound

lifetimes = st.tuples(st.integers(0, 9), st.integers(-1, 9), st.integers(0, 5)).map(
    lambda item: Lifetime(16 * item[0], item[1], item[1] + item[2])
)


def together(one: Lifetime, other: Lifetime) -> bool:
    return one.first <= other.last and other.first <= one.last


def peak(buffers: Sequence[Lifetime], offsets: Sequence[int]) -> int:
    """The highest end, of a plan that holds."""
    assert len(buffers) == len(offsets)
    placed = list(zip(buffers, offsets, strict=True))
    assert all(offset >= 0 for offset in offsets)
    for (one, low), (other, high) in itertools.combinations(placed, 2):
        if together(one, other):
            assert low + one.size <= high or high + other.size <= low
    return max((item.size + offset for item, offset in placed), default=0)


def in_order(buffers: Sequence[Lifetime], order: Sequence[int], *, tightest: bool) -> int:
    """The peak of buffers that go one after another to where there is room: every multiple of 16 is tried."""
    offsets: dict[int, int] = {}
    for index in order:
        size = buffers[index].size
        others = [other for other in offsets if together(buffers[index], buffers[other])]
        taken = {
            cell
            for other in others
            for cell in range(offsets[other], offsets[other] + buffers[other].size, 16)
        }
        end = max(taken, default=-16) + 16
        runs, start = [], 0
        for cell in range(0, end + 16, 16):
            if cell in taken or cell == end:
                if cell > start and cell - start >= size and cell < end:
                    runs.append((cell - start, start))
                start = cell + 16
        at = min(runs, key=lambda run: run if tightest else run[1:])[1] if runs else end
        offsets[index] = at
    return max((offset + buffers[index].size for index, offset in offsets.items()), default=0)


@given(st.lists(lifetimes, max_size=14), st.integers(0, 30))
def test_what_lives_together_never_overlaps(buffers: list[Lifetime], effort: int) -> None:
    assert peak(buffers, allocate(buffers, effort)) >= lower_bound(buffers)


@given(st.lists(lifetimes, max_size=14))
def test_the_bound_is_the_largest_sum_at_a_step(buffers: list[Lifetime]) -> None:
    sums = [sum(item.size for item in buffers if item.first <= step <= item.last) for step in range(-2, 16)]
    assert lower_bound(buffers) == max(sums)


@given(st.lists(lifetimes, max_size=10), st.integers(0, 20))
def test_it_is_never_above_the_best_greedy_order(buffers: list[Lifetime], effort: int) -> None:
    size, first = [item.size for item in buffers], [item.first for item in buffers]
    life = [item.last - item.first + 1 for item in buffers]
    contended = [
        max(
            sum(it.size for it in buffers if it.first <= step <= it.last)
            for step in range(item.first, item.last + 1)
        )
        for item in buffers
    ]
    keys = [
        [(-size[i], first[i], i) for i in range(len(buffers))],
        [(-life[i], -size[i], i) for i in range(len(buffers))],
        [(first[i], -size[i], i) for i in range(len(buffers))],
        [(-size[i] * life[i], i) for i in range(len(buffers))],
        [(-contended[i], -size[i], i) for i in range(len(buffers))],
        [(-contended[i], -life[i], -size[i], i) for i in range(len(buffers))],
    ]
    greedy = [in_order(buffers, [key[-1] for key in sorted(each)], tightest=True) for each in keys]
    assert peak(buffers, allocate(buffers, effort)) <= min(greedy)


@given(st.lists(lifetimes, min_size=1, max_size=5))
def test_few_buffers_have_the_least_peak_that_there_is(buffers: list[Lifetime]) -> None:
    orders = itertools.permutations(range(len(buffers)))
    least = min(in_order(buffers, order, tightest=False) for order in orders)
    assert peak(buffers, allocate(buffers, 120)) == least


@given(st.lists(lifetimes, max_size=12), st.integers(0, 30), st.integers(0, 30))
def test_more_effort_is_never_worse(buffers: list[Lifetime], effort: int, more: int) -> None:
    plans = [peak(buffers, allocate(buffers, each)) for each in (effort, effort + more)]
    assert plans[1] <= plans[0]


def cut(draw: random.Random, begin: int, end: int, size: int, count: int) -> list[Lifetime]:
    """A rectangle of steps by cells of 16 bytes, cut into `count` buffers, so that no plan has a gap."""
    if count == 1 or (end - begin < 2 and size < 2):
        return [Lifetime(16 * size, begin, end - 1)]
    part = draw.randrange(1, count)
    if size < 2 or (end - begin > 1 and draw.random() < 0.5):
        middle = draw.randrange(begin + 1, end)
        return cut(draw, begin, middle, size, part) + cut(draw, middle, end, size, count - part)
    low = draw.randrange(1, size)
    return cut(draw, begin, end, low, part) + cut(draw, begin, end, size - low, count - part)


def hard(seed: int, count: int) -> list[Lifetime]:
    draw = random.Random(seed)
    buffers = cut(draw, 0, 100, 200, count)
    draw.shuffle(buffers)
    return buffers


@pytest.mark.parametrize(("seed", "count"), [(9, 8), (9, 16), (40, 20), (18, 24), (21, 30)])
def test_climbing_reaches_the_bound_where_no_greedy_order_does(seed: int, count: int) -> None:
    buffers = hard(seed, count)
    assert lower_bound(buffers) == 3200
    assert peak(buffers, allocate(buffers, 0)) > 3200
    offsets = allocate(buffers, 200)
    assert peak(buffers, offsets) == 3200
    assert allocate(list(buffers), 200) == offsets


def test_the_choices_are_the_same_on_every_machine() -> None:
    assert allocate(hard(9, 8), 200) == [2096, 1744, 2096, 2096, 0, 0, 0, 2096]


def test_a_chain_and_a_branch_reach_the_bound() -> None:
    chain = [Lifetime(64, step, step + 1) for step in range(6)]
    assert peak(chain, allocate(chain, 0)) == 128
    branch = [Lifetime(64, 0, 3), Lifetime(32, 1, 2), Lifetime(32, 2, 3), Lifetime(96, 3, 4)]
    assert peak(branch, allocate(branch, 0)) == 64 + 32 + 96


def test_nothing_needs_nothing() -> None:
    assert allocate([], 5) == []
    assert lower_bound([]) == 0
