"""Which nodes are KPU layers."""

from __future__ import annotations

from modelbuild.graph.model import Node
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.residual import holds

SUMS = frozenset({"Add", "Sub", "Sum"})
LAYERS = SUMS | {"AveragePool", "Conv", "Gemm", "MatMul", "MaxPool"}


def on_kpu(lowering: Lowering, node: Node) -> bool:
    """Whether the node is to be a KPU layer. Sums need no layer: one that the RAM that is left does not hold
    is done by the CPU."""
    told = lowering.assembly is not None and lowering.units.get(node.name) == "npu"
    return told and node.op in LAYERS and (node.op not in SUMS or holds(lowering, node))
