"""Operators that carry their scales with them (QLinearConv, QLinearMatMul) -> DequantizeLinear, the float
operator, QuantizeLinear."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.importers.qdq_parameters import constant, refused


def expand(graph: Graph) -> None:
    """Rewrites every such node of `graph`; their codes stay codes."""
    names = _Names(graph)
    nodes: list[Node] = []
    for node in graph.nodes:
        rule = _RULES.get(node.op) if not node.domain else None
        if rule is None:
            nodes.append(node)
        else:
            nodes += rule(graph, names, node)
    graph.nodes = nodes


class _Names:
    """Free names for tensors and nodes."""

    def __init__(self, graph: Graph) -> None:
        made = (name for node in graph.nodes for name in node.outputs)
        self._taken = {*graph.inputs, *graph.constants, *made, *(node.name for node in graph.nodes)}

    def fresh(self, base: str) -> str:
        name, count = base, 0
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name


def _dequantize(names: _Names, node: Node, role: str, inputs: list[str], axis: int) -> Node:
    name = names.fresh(f"{node.name}_{role}_dequantize")
    made = names.fresh(f"{node.name}_{role}")
    return Node("DequantizeLinear", name, inputs, [made], {"axis": axis}, "", node.origin)


def _quantize(names: _Names, node: Node, computed: str, scale: str, zero: str) -> Node:
    name = names.fresh(f"{node.name}_quantize")
    return Node("QuantizeLinear", name, [computed, scale, zero], node.outputs, {}, "", node.origin)


def _convolution(graph: Graph, names: _Names, node: Node) -> list[Node]:
    """QLinearConv(x, sx, zx, w, sw, zw, sy, zy, bias); the bias is int32 in steps of sx * sw."""
    _require(node, 8)
    x, w = node.inputs[0:3], node.inputs[3:6]
    nodes = [_dequantize(names, node, "x", x, 1), _dequantize(names, node, "w", w, 0)]
    inputs = [nodes[0].outputs[0], nodes[1].outputs[0]]
    bias = node.inputs[8] if len(node.inputs) > 8 else ""
    if bias:
        scale_x = constant(graph, node, x[1], "scale").astype(np.float32).reshape(-1)
        scale_w = constant(graph, node, w[1], "scale").astype(np.float32).reshape(-1)
        if scale_x.size != 1:
            raise refused(node, "its input has a scale a channel")
        scale = names.fresh(f"{node.name}_bias_scale")
        product = scale_x[0] * scale_w
        graph.constants[scale] = product if product.size > 1 else product.reshape(())
        nodes.append(_dequantize(names, node, "bias", [bias, scale], 0))
        inputs.append(nodes[-1].outputs[0])
    made = names.fresh(f"{node.outputs[0]}_float")
    nodes.append(Node("Conv", node.name, inputs, [made], dict(node.attributes), "", node.origin))
    return [*nodes, _quantize(names, node, made, node.inputs[6], node.inputs[7])]


def _product(graph: Graph, names: _Names, node: Node) -> list[Node]:
    """QLinearMatMul(a, sa, za, b, sb, zb, sy, zy); scales a column belong to the last axis of b."""
    _require(node, 8)
    parts = [
        _dequantize(names, node, role, node.inputs[start : start + 3], -1)
        for role, start in (("a", 0), ("b", 3))
    ]
    made = names.fresh(f"{node.outputs[0]}_float")
    inputs = [part.outputs[0] for part in parts]
    product = Node("MatMul", node.name, inputs, [made], {}, "", node.origin)
    return [*parts, product, _quantize(names, node, made, node.inputs[6], node.inputs[7])]


def _require(node: Node, count: int) -> None:
    if len(node.inputs) < count or not all(node.inputs[:count]) or len(node.outputs) != 1:
        raise refused(node, f"it needs {count} inputs and one output")


_RULES: Mapping[str, Callable[[Graph, _Names, Node], list[Node]]] = {
    "QLinearConv": _convolution,
    "QLinearMatMul": _product,
}
OPERATORS = frozenset(_RULES)
