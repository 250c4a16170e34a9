"""Gather of a single constant index -> Slice and Reshape.

Why: most NPUs have both, and no Gather.
Legal: the index is a constant within the axis.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph
from modelbuild.graph.passes.gather_to_slice import replace_gathers


def run(graph: Graph) -> int:
    """Number of Gathers replaced."""
    return replace_gathers(graph, lambda editor, node, axis: True)
