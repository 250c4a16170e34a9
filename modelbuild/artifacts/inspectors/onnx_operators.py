"""The operators of an ONNX model: how many of which domain, which nobody knows, and what is quantized how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import onnx

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.statistics import COUNTED, node_macs

STANDARD = "ai.onnx"
_QUANTIZE = frozenset({"QuantizeLinear", "DequantizeLinear"})
_DYNAMIC = frozenset({"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "MatMulNBits"})
_OTHER_QOPERATORS = frozenset({"QGemm", "QAttention", "QEmbedLayerNormalization", "QMoE"})
_MAX_DEPTH = 16
# Operators of integers with the places of the input and of the weights among their inputs, and the float
# operator that multiplies as they do.
_FLOAT_FORMS: Mapping[str, tuple[str, int, int]] = {
    "QLinearConv": ("Conv", 0, 3),
    "ConvInteger": ("Conv", 0, 1),
    "QLinearMatMul": ("MatMul", 0, 3),
    "MatMulInteger": ("MatMul", 0, 1),
}


def text(found: str | bytes) -> str:
    """Of a text; protobuf gives one that is no UTF-8 as bytes."""
    return found if isinstance(found, str) else found.decode("utf-8", "replace")


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of the graphs in their attributes."""
    for one in all_graphs(graph):
        yield from one.node


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and the graphs in the attributes of its nodes."""
    yield graph
    yield from inner_graphs(graph.node)


def inner_graphs(nodes: Iterable[onnx.NodeProto], depth: int = 0) -> Iterator[onnx.GraphProto]:
    """The graphs in the attributes of nodes, and in those of theirs."""
    for node in nodes if depth <= _MAX_DEPTH else ():
        for item in node.attribute:
            for inner in (item.g, *item.graphs) if item.type in (item.GRAPH, item.GRAPHS) else ():
                yield inner
                yield from inner_graphs(inner.node, depth + 1)


def domain_of(node: onnx.NodeProto) -> str:
    """The domain by its name: the standard one has two."""
    return text(node.domain) or STANDARD


def domains(nodes: Iterable[onnx.NodeProto]) -> dict[str, int]:
    """Domain -> how many nodes."""
    return dict(sorted(Counter(map(domain_of, nodes)).items()))


def unknown(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> list[dict[str, Any]]:
    """{domain, op, count, why} of operators that neither ONNX nor a function of the model defines."""
    versions = {text(entry.domain) or STANDARD: entry.version for entry in model.opset_import}
    own = {(text(function.domain) or STANDARD, text(function.name)) for function in model.functions}
    found = Counter((domain_of(node), text(node.op_type)) for node in nodes)
    told = []
    for (domain, op), count in sorted(found.items()):
        why = "" if (domain, op) in own else _why_unknown(domain, op, versions)
        if why:
            told.append({"domain": domain, "op": op, "count": count, "why": why})
    return told


def _why_unknown(domain: str, op: str, versions: Mapping[str, int]) -> str:
    if domain not in versions:
        return "the model imports no operator set of this domain"
    name = "" if domain == STANDARD else domain
    if name not in _known_domains():
        return "ONNX defines no operators of this domain"
    version = min(max(versions[domain], 1), onnx.defs.onnx_opset_version() if not name else versions[domain])
    try:
        onnx.defs.get_schema(op, version, name)
    except (onnx.defs.SchemaError, TypeError, ValueError, OverflowError):
        known = onnx.defs.has(op, name)
        return f"not in operator set {versions[domain]}" if known else "no operator of ONNX"
    return ""


@cache
def _known_domains() -> frozenset[str]:
    return frozenset(schema.domain for schema in onnx.defs.get_all_schemas())


def quantization(
    model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto], types: Mapping[str, str | None]
) -> dict[str, Any] | None:
    """{form, quantize, dequantize, operators, zero_point_types, per_channel}; None of a float model.

    `form` is qdq, qoperator, dynamic, or several with commas; `types` are those of the initializers."""
    kinds = Counter(text(node.op_type) for node in nodes)
    operators = {op: kinds[op] for op in sorted(kinds) if _is_qoperator(op) or op in _DYNAMIC}
    forms = [
        form
        for form, there in (
            ("qdq", any(kinds[op] for op in _QUANTIZE)),
            ("qoperator", any(map(_is_qoperator, kinds))),
            ("dynamic", any(kinds[op] for op in _DYNAMIC)),
        )
        if there
    ]
    if not forms:
        return None
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    linear = [node for node in model.graph.node if text(node.op_type) in _QUANTIZE]
    points = Counter(types.get(node.input[2]) if len(node.input) > 2 else None for node in linear)
    return {
        "form": ", ".join(forms),
        "quantize": kinds["QuantizeLinear"],
        "dequantize": kinds["DequantizeLinear"],
        "operators": operators,
        "zero_point_types": {str(name or "not told"): points[name] for name in sorted(points, key=str)},
        "per_channel": sum(
            len(node.input) > 1 and sizes.get(node.input[1], ()) not in ((), (1,)) for node in linear
        ),
    }


def _is_qoperator(op: str) -> bool:
    return op.startswith("QLinear") or op in _OTHER_QOPERATORS


def has_macs(node: onnx.NodeProto) -> bool:
    """Whether it is of an operator that `macs` counts."""
    return node.op_type in COUNTED or node.op_type in _FLOAT_FORMS


def macs(graph: Graph, node: Node) -> int:
    """The multiply-accumulates of a node; those of integers as of the float operator that they stand for.
    Raises LookupError where a shape is not known."""
    form = None if node.domain else _FLOAT_FORMS.get(node.op)
    if form is not None:
        op, first, weights = form
        node = Node(op, node.name, [node.inputs[first], node.inputs[weights]], node.outputs, node.attributes)
    return node_macs(graph, node)
