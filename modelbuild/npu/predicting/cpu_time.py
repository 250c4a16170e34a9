"""What a node takes on the CPU beside the NPU: an estimate, which the vendors' evaluators leave out."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from modelbuild.chips.recipe import Hardware
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.statistics import node_macs

# Operations of a CPU core for each cell of the larger of first input and outputs; nobody publishes them.
_MOVED = ("DepthToSpace", "Expand", "Gather", "Pad", "Slice", "SpaceToDepth", "Split", "Tile", "Transpose")
_ALIASES = ("Concat", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
_OPERATIONS: Mapping[str, float] = {
    **dict.fromkeys(_ALIASES, 0.0),
    **dict.fromkeys(_MOVED, 2.0),
    "Softmax": 16.0,
}
_OTHERWISE = 4.0


def operations(graph: Graph, node: Node) -> float:
    """Of one inference: multiply-accumulates, or so many a cell."""
    macs = node_macs(graph, node)
    if macs:
        return macs
    names = [name for name in (*node.inputs[:1], *node.outputs) if name]
    cells = [prod(_shape(graph, name)) for name in names]
    return max(cells, default=0) * _OPERATIONS.get(node.op, _OTHERWISE)


def milliseconds(graph: Graph, node: Node, hardware: Hardware) -> float:
    """Of one inference, from the recipe's CPU."""
    rate = hardware.cpu_hz.value * hardware.cpu_operations_per_cycle.value
    return operations(graph, node) / rate * 1e3


def rows(
    graph: Graph, units: Mapping[str, str], reasons: Mapping[str, str], hardware: Hardware
) -> list[dict[str, Any]]:
    """The `cpu_nodes` of evaluate.json; `reasons` say why a node is there."""
    return [
        {
            "name": node.name,
            "op": node.op,
            "reason": reasons.get(node.name, "placed there on demand"),
            "time_ms": milliseconds(graph, node, hardware),
        }
        for node in graph.nodes
        if units.get(node.name) == "cpu"
    ]


def _shape(graph: Graph, name: str) -> tuple[int, ...]:
    constant = graph.constants.get(name)
    return graph.shapes[name] if constant is None else constant.shape
