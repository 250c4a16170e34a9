"""Addresses for buffers that share memory by lifetime: greedy orders, then a search of fixed length."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Key = Callable[[int], tuple[int, ...]]


@dataclass(frozen=True)
class Lifetime:
    """A buffer of `size` bytes, aligned, that lives from step `first` to step `last`, both included."""

    size: int
    first: int
    last: int


@dataclass(frozen=True)
class _Plan:
    order: list[int]
    offsets: list[int]
    peak: int


def lower_bound(buffers: Sequence[Lifetime]) -> int:
    """Bytes that no plan can do without: the largest sum of sizes of buffers that live at one step."""
    return max(_live(buffers)[1], default=0)


def allocate(buffers: Sequence[Lifetime], effort: int, enough: int = 0) -> list[int]:
    """An offset in bytes for each of `buffers`: no two that live at one step overlap.

    Six greedy orders, each buffer into the tightest gap (Pisarchyk and Lee, "Efficient Memory Management for
    Deep Neural Net Inference", 2020). Where none reaches the lower bound, at most `effort` other orders: all
    of them if they are so few, which finds the least peak there is, else hill climbing. A peak of `enough`
    bytes ends the search. Depends on its arguments alone.
    """
    problem = _Problem(buffers)
    problem.bound = max(problem.bound, enough)
    best: _Plan | None = None
    for order in problem.greedy_orders():
        found = problem.place(order, best.peak - 1 if best else None)
        best = found or best
        if best and best.peak <= problem.bound:
            return best.offsets
    assert best is not None
    if math.factorial(min(len(buffers), 20)) <= effort:
        return _all_orders(problem, best).offsets
    return _climb(problem, best, effort).offsets


class _Problem:
    """The buffers, which of them live together, and the bound."""

    def __init__(self, buffers: Sequence[Lifetime]) -> None:
        self.buffers = buffers
        self.bound = lower_bound(buffers)
        self.together = [
            [
                other
                for other, it in enumerate(buffers)
                if other != index and it.first <= item.last and item.first <= it.last
            ]
            for index, item in enumerate(buffers)
        ]

    def greedy_orders(self) -> Iterable[list[int]]:
        """By size, lifetime, first step, size x lifetime; contended first by size, and by lifetime."""
        buffers = self.buffers
        size = [item.size for item in buffers]
        first = [item.first for item in buffers]
        life = [item.last - item.first + 1 for item in buffers]
        contended = _contended(buffers)
        keys: tuple[Key, ...] = (
            lambda i: (-size[i], first[i]),
            lambda i: (-life[i], -size[i]),
            lambda i: (first[i], -size[i]),
            lambda i: (-size[i] * life[i],),
            lambda i: (-contended[i], -size[i]),
            lambda i: (-contended[i], -life[i], -size[i]),
        )
        for key in keys:
            yield sorted(range(len(buffers)), key=key)

    def place(self, order: Sequence[int], most: int | None = None) -> _Plan | None:
        """Each buffer in turn into the tightest gap; None as soon as the peak exceeds `most`."""
        buffers = self.buffers
        offsets = [-1] * len(buffers)
        peak = 0
        for index in order:
            size = buffers[index].size
            busy = [
                (offsets[other], offsets[other] + buffers[other].size)
                for other in self.together[index]
                if offsets[other] >= 0
            ]
            busy.sort()
            offset = _tightest_gap(busy, size)
            peak = max(peak, offset + size)
            if most is not None and peak > most:
                return None
            offsets[index] = offset
        return _Plan(list(order), offsets, peak)


def _live(buffers: Sequence[Lifetime]) -> tuple[list[int], list[int]]:
    """Steps at which a buffer begins to live, in order, and the bytes that live then.

    What lives grows at such steps only, so that the largest sum of all steps is among these.
    """
    steps = sorted({item.first for item in buffers})
    changes = [0] * (len(steps) + 1)
    for item in buffers:
        changes[bisect_left(steps, item.first)] += item.size
        changes[bisect_right(steps, item.last)] -= item.size
    return steps, list(itertools.accumulate(changes[:-1]))


def _contended(buffers: Sequence[Lifetime]) -> list[int]:
    """The most bytes that live at a step of each buffer's life."""
    steps, live = _live(buffers)
    return [max(live[bisect_left(steps, it.first) : bisect_right(steps, it.last)]) for it in buffers]


def _tightest_gap(busy: Sequence[tuple[int, int]], size: int) -> int:
    """Where `size` bytes leave the least over between `busy` (begin, end), sorted; behind all if nowhere."""
    best: tuple[int, int] | None = None
    end = 0
    for low, high in busy:
        if low - end >= size and (best is None or low - end < best[0]):
            best = (low - end, end)
        end = max(end, high)
    return best[1] if best else end


def _all_orders(problem: _Problem, best: _Plan) -> _Plan:
    """Complete: buffers in the order of their addresses in a best plan never come to lie above those."""
    for order in itertools.permutations(range(len(problem.buffers))):
        best = problem.place(order, best.peak - 1) or best
        if best.peak <= problem.bound:
            break
    return best


def _climb(problem: _Problem, now: _Plan, moves: int) -> _Plan:
    """Moves a buffer that makes the peak, or one that lives beside it, forward in the order.

    A move is kept if it is not worse.
    """
    for move in range(moves):
        if now.peak <= problem.bound:
            break
        top = [
            i
            for i, (item, offset) in enumerate(zip(problem.buffers, now.offsets, strict=True))
            if offset + item.size == now.peak
        ]
        culprit = top[_choice(3 * move, len(top))]
        near = [culprit, culprit, *problem.together[culprit]]
        moved = near[_choice(3 * move + 1, len(near))]
        order = list(now.order)
        place = order.index(moved)
        order.insert(_choice(3 * move + 2, max(1, place)), order.pop(place))
        now = problem.place(order, now.peak) or now
    return now


def _choice(counter: int, count: int) -> int:
    """A number below `count`, the same for a counter always: SplitMix64 (Steele, Lea and Flood, 2014)."""
    mask = (1 << 64) - 1
    mixed = (counter + 1) * 0x9E3779B97F4A7C15 & mask
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & mask
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & mask
    return (mixed ^ mixed >> 31) % count
