"""Codes, scales and zero points that stand behind operators on constants: these are computed first."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from modelbuild.graph.constant_operators import OPERATORS, evaluate
from modelbuild.graph.model import Graph, Node
from modelbuild.importers.qdq_parameters import refused

# Operators that make nothing larger, so that they may be computed before shapes are known.
MOVING = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_OF_ONE_SIZE = MOVING | {"Cast", "Clip", "Relu"}
_GROWING = frozenset({"ConstantOfShape", "Expand", "Pad", "Range", "Tile"})
_MOST_VALUES = 1 << 24  # what two operands could make together


def fold(graph: Graph, readers: Iterable[str]) -> None:
    """Makes constants of what the inputs of all operators `readers` can be computed from without data."""
    read, wanted = set(readers), set[str]()
    for node in reversed(graph.nodes):
        if node.op in read or wanted & set(node.outputs):
            wanted |= {name for name in node.inputs if name not in graph.constants}
    graph.nodes = [node for node in graph.nodes if not (wanted & set(node.outputs) and folded(graph, node))]


def folded(graph: Graph, node: Node) -> bool:
    """Computes `node` if all its inputs are constants and what it makes is not too large; whether it did."""
    given = [graph.constants.get(name) if name else None for name in node.inputs]
    there = [value for value in given if value is not None]
    if not there or len(there) < len([name for name in node.inputs if name]) or node.domain:
        return False
    small = node.op not in _GROWING and prod(max(value.size, 1) for value in there) <= _MOST_VALUES
    if node.op not in OPERATORS or not (node.op in _OF_ONE_SIZE or small):
        return False
    try:
        made = evaluate(node, given)
    except (ValueError, IndexError, TypeError, OverflowError, AssertionError) as error:
        raise refused(node, f"it cannot be computed: {error}") from error
    if made is None:
        return False
    for name, value in zip(node.outputs, made, strict=False):
        graph.constants[name] = value
        graph.shapes[name], graph.dtypes[name] = value.shape, value.dtype
    return True
