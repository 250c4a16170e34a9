"""What a graph computes with whole numbers: places (ArgMax, TopK) and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from modelbuild.graph.model import Graph, Node

CHOOSING = ("ArgMax", "ArgMin", "TopK")  # operators that tell places
MOVING = (
    "Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile",
    "Transpose", "Unsqueeze",
)  # fmt: skip
BEHIND = frozenset({*CHOOSING, *MOVING, "Cast"})  # operators that may stand there
TYPES = (np.dtype(np.int32), np.dtype(np.int64))


def is_whole(graph: Graph, tensor: str) -> bool:
    """Whether a tensor that is computed holds whole numbers (int32 or int64)."""
    return graph.dtypes.get(tensor) in TYPES and tensor not in graph.constants and tensor not in graph.inputs


def chosen(graph: Graph) -> list[Node]:
    """The nodes that tell places or make whole numbers, and all behind them, in order."""
    found: list[Node] = []
    made: set[str] = set()
    for node in graph.nodes:
        makes = node.op in CHOOSING or any(is_whole(graph, name) for name in node.outputs if name)
        if makes or any(name in made for name in node.inputs):
            found.append(node)
            made.update(name for name in node.outputs if name)
    return found


def floats_of(graph: Graph, behind: Sequence[Node] | None = None) -> Graph:
    """The graph without those nodes (`chosen`): all that has ranges. What they read is an output of it. The
    same graph where there are none."""
    taken = chosen(graph) if behind is None else behind
    if not taken:
        return graph
    names = {node.name for node in taken}
    made = {name for node in taken for name in node.outputs}
    read = [name for node in taken for name in node.inputs if name not in made]
    kept = [name for name in graph.outputs if name not in made]
    outputs = [*kept, *(name for name in read if name and name not in graph.constants)]
    nodes = [node for node in graph.nodes if node.name not in names]
    return replace(graph, nodes=nodes, outputs=list(dict.fromkeys(outputs)))
