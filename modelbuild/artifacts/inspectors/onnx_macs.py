"""The multiply-accumulates of an ONNX model, from the shapes that follow from those of its inputs."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from modelbuild.artifacts.inspectors import onnx_operators, onnx_shapes
from modelbuild.artifacts.inspectors.onnx_operators import text
from modelbuild.graph.model import Attribute, Graph, Node

_MOST = 1 << 53  # what every reader of JSON can hold


def macs(model: onnx.ModelProto) -> tuple[int | None, str | None]:
    """Those of convolutions and matrix products of the main graph; or None and why. An open batch counts as
    1: the model is changed to that."""
    _close_batch(model.graph)
    inferred = onnx_shapes.inferred(model)
    if inferred is None:
        return None, "its shapes do not follow from one another"
    counted = [node for node in inferred.node if onnx_operators.has_macs(node)]
    graph = _shapes(inferred, {name for node in counted for name in (*node.input, *node.output)})
    total = 0
    for node in counted:
        try:
            total += onnx_operators.macs(graph, _node(node))
        except (LookupError, TypeError):
            return None, f"the shapes at {text(node.op_type)} {text(node.name)}".rstrip() + " are open"
    return (total, None) if total < _MOST else (None, "the shapes are larger than any that can run")


def _close_batch(graph: onnx.GraphProto) -> None:
    """The first size of each input that is open (some exporters write -1) as 1."""
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in weights and dims and dims[0].dim_value < 1:
            dims[0].dim_value = 1


def _shapes(graph: onnx.GraphProto, names: Collection[str]) -> Graph:
    """The tensors of these names whose sizes are all told."""
    found = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.name in names and value.type.tensor_type.HasField("shape"):
            dims = value.type.tensor_type.shape.dim
            if len(dims) <= onnx_shapes.MAX_RANK and all(dim.HasField("dim_value") for dim in dims):
                found[value.name] = tuple(dim.dim_value for dim in dims)
    possible = {name: shape for name, shape in found.items() if all(size >= 0 for size in shape)}
    return Graph(graph.name, [], [], [], {}, shapes=possible)


def _node(proto: onnx.NodeProto) -> Node:
    flags: dict[str, Attribute] = {item.name: item.i for item in proto.attribute if item.name == "transA"}
    return Node(proto.op_type, proto.name, list(proto.input), list(proto.output), flags, proto.domain)
