"""Standard operators that are newer than set 17 and that ONNX itself defines by others: replaced by those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import AttributeProto, FunctionProto, NodeProto, defs, helper

from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io, shapes
from modelbuild.graph.fresh_names import fresh
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.tensors import element_type_of

# Operator -> the first set in which its body is taken. Gelu, Mish and others have shorter rules of our own.
EXPANDED: Mapping[str, int] = {
    "Attention": 23,
    "CenterCropPad": 18,
    "MeanVarianceNormalization": 9,
    "SwiGLU": 28,
}
_MAX_ROUNDS = 4  # a body may hold such operators again


def expand(graph: Graph) -> None:
    """Replaces the nodes of `EXPANDED` by their bodies. Shapes and types are known before and after."""
    for _ in range(_MAX_ROUNDS):
        if not any(_expanded(node) for node in graph.nodes):
            return
        tensors, names = {*graph.shapes, *graph.constants}, {node.name for node in graph.nodes}
        nodes = [
            item
            for node in graph.nodes
            for item in (_body(graph, node, tensors, names) if _expanded(node) else [node])
        ]
        graph.nodes = onnx_io.without_constants(graph, nodes)
        shapes.infer(graph)


def _expanded(node: Node) -> bool:
    return node.op in EXPANDED and not node.domain


def _body(graph: Graph, node: Node, tensors: set[str], names: set[str]) -> list[Node]:
    schema: Any = defs.get_schema(node.op, graph.opset)  # its stub lacks what is asked below
    proto = onnx_io.node_to_proto(node)
    function = _function(schema, proto, graph, node)
    actual = dict(zip(function.input, node.inputs, strict=False))
    actual |= dict.fromkeys(function.input[len(node.inputs) :], "")
    actual |= {
        name: made or fresh(f"{node.name}_{name}", tensors)
        for name, made in zip(function.output, [*node.outputs, *[""] * len(function.output)], strict=False)
    }
    given = {attribute.name: attribute for attribute in proto.attribute}
    found = []
    for inner in function.node:
        for name in inner.output:
            if name and name not in actual:
                actual[name] = fresh(f"{node.name}_{name}", tensors)
        copy = NodeProto(op_type=inner.op_type, domain=inner.domain)
        copy.input.extend(actual.get(name, "") for name in inner.input)
        copy.output.extend(actual.get(name, "") for name in inner.output)
        copy.attribute.extend(_attributes(inner, given, schema))
        made = onnx_io.node_of(copy, fresh(f"{node.name}_{inner.op_type.lower()}", names))
        made.origin = node.origin
        found.append(made)
    return found


def _function(schema: Any, proto: NodeProto, graph: Graph, node: Node) -> FunctionProto:
    if schema.has_function:
        version = max(known for known in schema.function_opset_versions if known <= graph.opset)
        return FunctionProto.FromString(schema.get_function_with_opset_version(version))
    types = [
        helper.make_tensor_type_proto(element_type_of(graph.dtypes[name]), graph.shapes[name])
        if name
        else helper.make_tensor_type_proto(0, None)
        for name in node.inputs
    ]
    try:
        made = schema.get_context_dependent_function(
            proto.SerializeToString(), [item.SerializeToString() for item in types]
        )
        return FunctionProto.FromString(made)
    except (RuntimeError, ValueError) as error:
        raise ModelbuildError(f"{node.op} `{node.name}` is not valid", why=str(error)) from error


def _attributes(inner: NodeProto, given: Mapping[str, AttributeProto], schema: Any) -> list[AttributeProto]:
    """The attributes of a body's node; those that refer to the outer node's are the outer node's."""
    found = []
    for attribute in inner.attribute:
        if not attribute.ref_attr_name:
            found.append(attribute)
            continue
        outer = given.get(attribute.ref_attr_name) or schema.attributes[attribute.ref_attr_name].default_value
        if outer.type != AttributeProto.UNDEFINED:
            copy = AttributeProto()
            copy.CopyFrom(outer)
            copy.name = attribute.name
            found.append(copy)
    return found
