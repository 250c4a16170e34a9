"""The cheapest way to part a small directed graph in two: augmenting paths (Edmonds and Karp, 1972)."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Mapping

SOURCE, SINK = "source", "sink"
Edge = tuple[Hashable, Hashable, int]  # from, to, capacity


def minimum_cut(edges: Iterable[Edge]) -> tuple[int, set[Hashable]]:
    """The capacity of the cheapest cut between `SOURCE` and `SINK`, and the nodes on the source's side.

    Of cuts of equal capacity, it is the one with the fewest nodes on the source's side.
    """
    left: dict[Hashable, dict[Hashable, int]] = {SOURCE: {}, SINK: {}}
    for start, end, capacity in edges:
        ahead, back = left.setdefault(start, {}), left.setdefault(end, {})
        ahead[end] = ahead.get(end, 0) + capacity
        back.setdefault(start, 0)
    flow = 0
    while True:
        came_from = _reached(left)
        if SINK not in came_from:
            return flow, set(came_from)
        path = _path(came_from)
        least = min(left[start][end] for start, end in path)
        for start, end in path:
            left[start][end] -= least
            left[end][start] += least
        flow += least


def _reached(left: Mapping[Hashable, Mapping[Hashable, int]]) -> dict[Hashable, Hashable]:
    """Node -> the node before it on a shortest way from the source through edges with capacity left."""
    found: dict[Hashable, Hashable] = {SOURCE: SOURCE}
    queue: deque[Hashable] = deque([SOURCE])
    while queue and SINK not in found:
        node = queue.popleft()
        for other, capacity in left[node].items():
            if capacity > 0 and other not in found:
                found[other] = node
                queue.append(other)
    return found


def _path(came_from: Mapping[Hashable, Hashable]) -> list[tuple[Hashable, Hashable]]:
    path: list[tuple[Hashable, Hashable]] = []
    node: Hashable = SINK
    while node != SOURCE:
        path.append((came_from[node], node))
        node = came_from[node]
    return path


def capacity_of(edges: Iterable[Edge], side: set[Hashable]) -> int:
    """The capacity of the cut that has `side` and `SOURCE` on the source's side."""
    inside = side | {SOURCE}
    return sum(capacity for start, end, capacity in edges if start in inside and end not in inside)
