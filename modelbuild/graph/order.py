"""Topological order and unique names of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node


def unique_names(names: Iterable[str]) -> list[str]:
    """`names` with repeated ones numbered (`a`, `a_1` ...), the same on every run."""
    listed = list(names)
    taken: set[str] = set(listed)
    seen: set[str] = set()
    counters: dict[str, int] = {}
    result = []
    for name in listed:
        fresh = name
        if name in seen:
            while fresh in taken:
                counters[name] = counters.get(name, 0) + 1
                fresh = f"{name}_{counters[name]}"
        taken.add(fresh)
        seen.add(fresh)
        result.append(fresh)
    return result


def in_order(nodes: Sequence[Node], graph: Graph) -> list[Node]:
    """`nodes` in topological order, as near to the given order as that allows.

    Raises for a tensor made twice, one that nothing makes, and for a cycle.
    """
    makers = _makers(nodes, graph)
    waiting = [0] * len(nodes)
    readers: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        for name in {item for item in node.inputs if item}:
            maker = makers.get(name)
            if maker is None:
                raise ModelbuildError(
                    f"{node.op} `{node.name}` reads the tensor `{name}`, which nothing makes"
                )
            if maker >= 0:
                waiting[index] += 1
                readers.setdefault(maker, []).append(index)
    ready = [index for index, count in enumerate(waiting) if count == 0]
    heapify(ready)
    order = []
    while ready:
        index = heappop(ready)
        order.append(index)
        for reader in readers.get(index, []):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heappush(ready, reader)
    if len(order) < len(nodes):
        stuck = next(node for index, node in enumerate(nodes) if waiting[index])
        raise ModelbuildError(f"{stuck.op} `{stuck.name}` depends on its own output")
    return [nodes[index] for index in order]


def _makers(nodes: Sequence[Node], graph: Graph) -> dict[str, int]:
    """Tensor name -> index of the node that makes it, or -1 for inputs and constants."""
    makers = dict.fromkeys([*graph.inputs, *graph.constants], -1)
    for index, node in enumerate(nodes):
        for name in node.outputs:
            if name in makers:
                raise ModelbuildError(f"the tensor `{name}` is made twice, the second time by `{node.name}`")
            if name:
                makers[name] = index
    for name in graph.outputs:
        if name not in makers:
            raise ModelbuildError(f"nothing makes the model's output `{name}`")
    return makers
