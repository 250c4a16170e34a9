"""What a node takes on the CPU beside the NPU: an estimate, which the vendors' evaluators leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from modelbuild.chips.recipe import Hardware
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.statistics import node_macs

# Without arithmetic: what copies its outputs, and what gives memory another shape.
_MOVES = {
    *("Concat", "DepthToSpace", "Expand", "Gather", "GatherElements", "GatherND", "Pad", "ReverseSequence"),
    *("ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split", "Tile", "Transpose"),
}
_ALIASES = {"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
_BYTE = 2  # operations: it is read and written
# Operations of a CPU core for each cell of the larger of first input and outputs; nobody publishes them.
_CELL: Mapping[str, int] = {"Softmax": 16}
_OTHERWISE = 4


@dataclass(frozen=True)
class Work:
    """What the core does in one inference. `of` says what was counted: multiplications, cells, bytes moved,
    or nothing, where memory gets another shape; `bytes` are those that are read and written by what moves
    alone."""

    operations: int
    of: str
    bytes: int = 0


def work(graph: Graph, node: Node, cell_bytes: Mapping[str, int] | None = None) -> Work:
    """The work of a node. `cell_bytes`: tensor -> bytes of one of its numbers, 1 where it is not listed."""
    macs = node_macs(graph, node)
    if macs:
        return Work(macs, "multiplications")
    if node.op in _ALIASES:
        return Work(0, "nothing")
    cells = {name: prod(_shape(graph, name)) for name in (*node.inputs[:1], *node.outputs) if name}
    if node.op in _MOVES:
        sizes = cell_bytes or {}
        moved = _BYTE * sum(cells[name] * sizes.get(name, 1) for name in node.outputs if name)
        return Work(moved, "bytes moved", moved)
    return Work(max(cells.values(), default=0) * _CELL.get(node.op, _OTHERWISE), "cells")


def rate(hardware: Hardware) -> float:
    """Operations of the CPU per second."""
    return hardware.cpu_hz.value * hardware.cpu_operations_per_cycle.value


def rows(
    graph: Graph,
    units: Mapping[str, str],
    reasons: Mapping[str, str],
    hardware: Hardware,
    cell_bytes: Mapping[str, int] | None = None,
) -> list[dict[str, Any]]:
    """The `cpu_nodes` of evaluate.json, at the rate of the recipe's CPU; `reasons` say why a node is
    there."""
    per_second = rate(hardware)
    found = []
    for node in graph.nodes:
        if units.get(node.name) != "cpu":
            continue
        done = work(graph, node, cell_bytes)
        reason = reasons.get(node.name, "placed there on demand")
        counted = {"operations": done.operations, "counted": done.of, "bytes_moved": done.bytes}
        ms = done.operations / per_second * 1e3
        found.append({"name": node.name, "op": node.op, "reason": reason, **counted, "time_ms": ms})
    return found


def _shape(graph: Graph, name: str) -> tuple[int, ...]:
    constant = graph.constants.get(name)
    return graph.shapes[name] if constant is None else constant.shape
