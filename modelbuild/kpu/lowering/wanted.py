"""Which tensors somebody reads as bytes: KPU layers, by way of what moves values or looks them up."""

from __future__ import annotations

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.quantized_border import is_port
from modelbuild.kpu.lowering import moves, picking
from modelbuild.kpu.lowering.functions import OPERATORS
from modelbuild.kpu.lowering.layered import SUMS, on_kpu
from modelbuild.kpu.lowering.lowering import Lowering

_PASSING = frozenset({*moves.BUILDERS, *picking.BUILDERS} - {"ScatterElements", "ScatterND"})


def wanted_as_bytes(lowering: Lowering) -> frozenset[str]:
    """The tensors."""
    graph = lowering.graph
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if on_kpu(lowering, node) and node.op in SUMS:
            found.update(node.inputs)
        elif on_kpu(lowering, node) or (node.op == "QuantizeLinear" and is_port(graph, node.outputs[0])):
            found.add(node.inputs[0])
        elif _passes(graph, node) and any(name in found for name in node.outputs):
            found.update(name for name in node.inputs if name and name not in graph.constants)
    return frozenset(found)


def _passes(graph: Graph, node: Node) -> bool:
    if node.op in _PASSING:
        return node.op not in ("Resize", "Upsample") or node.attributes.get("mode", "nearest") == "nearest"
    given = {name for name in node.inputs if name and name not in graph.constants}
    return node.op in OPERATORS and len(given) == 1


def reads_bytes_alone(lowering: Lowering, tensor: str) -> bool:
    """Whether all that is made of a tensor by moving it is read by KPU layers and nobody else."""
    graph = lowering.graph
    readers = lowering.chains.readers(tensor)
    if tensor in graph.outputs or not readers:
        return False
    return all(
        on_kpu(lowering, node)
        or (node.op in _PASSING and all(reads_bytes_alone(lowering, name) for name in node.outputs if name))
        for node in readers
    )
