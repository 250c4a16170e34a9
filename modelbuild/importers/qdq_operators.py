"""Operators that carry their scales with them (QLinearConv, QLinearAdd ...) -> DequantizeLinear, the float
operator, QuantizeLinear."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from modelbuild.graph.fresh_names import fresh, tensors
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
        self._taken = tensors(graph) | {node.name for node in graph.nodes}

    def fresh(self, base: str) -> str:
        return fresh(base, self._taken)


def _dequantize(names: _Names, node: Node, role: str, inputs: list[str], axis: int) -> Node:
    name = names.fresh(f"{node.name}_{role}_dequantize")
    made = names.fresh(f"{node.name}_{role}")
    return Node("DequantizeLinear", name, inputs, [made], {"axis": axis}, "", node.origin)


def _quantize(names: _Names, node: Node, computed: str, scale: str, zero: str) -> Node:
    name = names.fresh(f"{node.name}_quantize")
    inputs = [computed, scale, zero] if zero else [computed, scale]
    return Node("QuantizeLinear", name, inputs, node.outputs, {}, "", node.origin)


def _convolution(graph: Graph, names: _Names, node: Node) -> list[Node]:
    """QLinearConv(x, sx, zx, w, sw, zw, sy, zy, bias); the bias is int32 in steps of sx * sw."""
    _require(node, 8)
    x, w = node.inputs[0:3], node.inputs[3:6]
    nodes = [_dequantize(names, node, "x", x, 1), _dequantize(names, node, "w", w, 0)]
    inputs = [nodes[0].outputs[0], nodes[1].outputs[0]]
    bias = node.inputs[8] if len(node.inputs) > 8 else ""
    if bias:
        nodes.append(_dequantize_bias(graph, names, node, bias, (1, 4)))
        inputs.append(nodes[-1].outputs[0])
    made = names.fresh(f"{node.outputs[0]}_float")
    nodes.append(Node("Conv", node.name, inputs, [made], dict(node.attributes), "", node.origin))
    return [*nodes, _quantize(names, node, made, node.inputs[6], node.inputs[7])]


def _dequantize_bias(
    graph: Graph, names: _Names, node: Node, bias: str, scales: tuple[int, int], factor: float = 1.0
) -> Node:
    """A bias in steps of the product of the scales that are the inputs `scales`."""
    scale_x, scale_w = (
        constant(graph, node, node.inputs[index], "scale").astype(np.float32).reshape(-1) for index in scales
    )
    if scale_x.size != 1:
        raise refused(node, "its input has a scale a channel")
    name = names.fresh(f"{node.name}_bias_scale")
    product = scale_x[0] * scale_w * np.float32(factor)
    graph.constants[name] = product if product.size > 1 else product.reshape(())
    return _dequantize(names, node, "bias", [bias, name], 0)


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


@dataclass(frozen=True)
class _Plain:
    """An operator on codes whose `operands` begin, each with scale and zero point, at these inputs, and whose
    result's scale and zero point are the inputs from `result`; `keep` are the attributes of the float one."""

    op: str
    operands: tuple[int, ...]
    result: int
    keep: tuple[str, ...] = ()

    def __call__(self, graph: Graph, names: _Names, node: Node) -> list[Node]:
        _require(node, self.result + 1)
        if node.attributes.get("channels_last"):
            raise refused(node, "its channels come last")
        parts = [
            _dequantize(names, node, f"x{index}", node.inputs[start : start + 3], 1)
            for index, start in enumerate(self.operands)
        ]
        made = names.fresh(f"{node.outputs[0]}_float")
        attributes = {key: value for key, value in node.attributes.items() if key in self.keep}
        inputs = [part.outputs[0] for part in parts]
        computed = Node(self.op, node.name, inputs, [made], attributes, "", node.origin)
        zero = node.inputs[self.result + 1] if len(node.inputs) > self.result + 1 else ""
        return [*parts, computed, _quantize(names, node, made, node.inputs[self.result], zero)]


def _concatenation(graph: Graph, names: _Names, node: Node) -> list[Node]:
    """QLinearConcat(sy, zy, x1, s1, z1, ...)."""
    _require(node, 5)
    if len(node.inputs) % 3 != 2:
        raise refused(node, f"it has {len(node.inputs)} inputs")
    ordered = Node(node.op, node.name, [*node.inputs[2:], *node.inputs[:2]], node.outputs, node.attributes)
    ordered.origin, count = node.origin, len(node.inputs) - 2
    return _Plain("Concat", tuple(range(0, count, 3)), count, ("axis",))(graph, names, ordered)


def _matrix(graph: Graph, names: _Names, node: Node) -> list[Node]:
    """QGemm(a, sa, za, b, sb, zb, bias, sy, zy); the bias is int32 in steps of alpha * sa * sb."""
    _require(node, 6)
    transposed = bool(node.attributes.get("transB", 0))
    parts = [
        _dequantize(names, node, "a", node.inputs[:3], 1),
        _dequantize(names, node, "b", node.inputs[3:6], 0 if transposed else 1),
    ]
    inputs = [part.outputs[0] for part in parts]
    if len(node.inputs) > 6 and node.inputs[6]:
        factor = node.attributes.get("alpha", 1.0)
        if not isinstance(factor, int | float):
            raise refused(node, "its alpha is no number")
        parts.append(_dequantize_bias(graph, names, node, node.inputs[6], (1, 4), float(factor)))
        inputs.append(parts[-1].outputs[0])
    kept = {key: value for key, value in node.attributes.items() if key in ("alpha", "transA", "transB")}
    if len(node.inputs) < 8 or not node.inputs[7]:  # a float result
        return [*parts, Node("Gemm", node.name, inputs, node.outputs, kept, "", node.origin)]
    made = names.fresh(f"{node.outputs[0]}_float")
    zero = node.inputs[8] if len(node.inputs) > 8 else ""
    computed = Node("Gemm", node.name, inputs, [made], kept, "", node.origin)
    return [*parts, computed, _quantize(names, node, made, node.inputs[7], zero)]


def _require(node: Node, count: int) -> None:
    if len(node.inputs) < count or not all(node.inputs[:count]) or len(node.outputs) != 1:
        raise refused(node, f"it needs {count} inputs and one output")


_POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides", "dilations")
_STANDARD: Mapping[str, Callable[[Graph, _Names, Node], list[Node]]] = {
    "QLinearConv": _convolution,
    "QLinearMatMul": _product,
}
# Of the domain com.microsoft: what onnxruntime's quantizer writes in its format QOperator.
_VENDORS: Mapping[str, Callable[[Graph, _Names, Node], list[Node]]] = {
    "QGemm": _matrix,
    "QLinearAdd": _Plain("Add", (0, 3), 6),
    "QLinearAveragePool": _Plain("AveragePool", (0,), 3, _POOL),
    "QLinearConcat": _concatenation,
    "QLinearGlobalAveragePool": _Plain("GlobalAveragePool", (0,), 3),
    "QLinearLeakyRelu": _Plain("LeakyRelu", (0,), 3, ("alpha",)),
    "QLinearMul": _Plain("Mul", (0, 3), 6),
    "QLinearReduceMean": _Plain("ReduceMean", (0,), 3, ("axes", "keepdims")),
    "QLinearSigmoid": _Plain("Sigmoid", (0,), 3),
    "QLinearSoftmax": _Plain("Softmax", (0,), 3, ("axis",)),
}
_RULES = {**_STANDARD, **_VENDORS}
OPERATORS = frozenset(_RULES)
VENDORS = frozenset(_VENDORS)
