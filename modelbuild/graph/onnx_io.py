"""ONNX files and protobufs <-> Graph. The same graph gives the same bytes on any machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
    ValueInfoProto,
    helper,
)

from modelbuild import whole_file
from modelbuild.errors import ModelbuildError
from modelbuild.graph import kept_quantization, large, serial
from modelbuild.graph.model import Array, Attribute, Graph, Node
from modelbuild.graph.order import in_order, unique_names
from modelbuild.graph.tensors import array_of, dense_of, dtype_of, element_type_of

IR_VERSION = 10  # the first with node metadata; every onnxruntime >= 1.18 reads it
ORIGIN_KEY = "modelbuild.origin"


def read(path: Path) -> Graph:
    """A graph from a file that `write` made. Foreign files go through `importers`."""
    if large.is_large(path):
        model, arrays = large.read(path)
        return from_model(model, arrays)
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelbuildError(
            "this is not a readable ONNX file", where=str(path), why=str(error) or type(error).__name__
        ) from error
    if not model.HasField("graph"):
        raise ModelbuildError("this ONNX file holds no graph", where=str(path))
    return from_model(model)


def write(graph: Graph, path: Path) -> None:
    """`graph` as an ONNX file, or as `large` describes where that cannot hold it; for `read` alone then.

    The bytes depend on the graph alone.
    """
    if large.weights(graph.constants) > large.MAX_BYTES:
        large.write(path, _to_model(graph, large.place_holders(graph.constants)), graph.constants)
        return
    with path.open("wb") as stream:
        stream.writelines(_chunks(graph))


def export(graph: Graph, path: Path) -> list[Path]:
    """`graph` as an ONNX file for others, and what is written: weights beyond 2 GB lie in `PATH.data`.

    Raises ModelbuildError where the folder or the disk refuses; each file is then whole or as it was.
    """
    if large.weights(graph.constants) <= large.MAX_BYTES:
        whole_file.write(path, to_bytes(graph))
        return [path]
    data = path.with_name(f"{path.name}.data")
    large.write_beside(path, data, _to_model(graph, large.place_holders(graph.constants)), graph.constants)
    return [path, data]


def to_bytes(graph: Graph) -> bytes:
    """The serialised model. Raises when it exceeds protobuf's 2 GB."""
    size = large.weights(graph.constants)
    if size <= large.MAX_BYTES:
        return b"".join(_chunks(graph))
    raise ModelbuildError(
        f"the model `{graph.name}` holds {size / 1e9:.1f} GB of weights",
        why="one ONNX file holds at most 2 GB",
        advice="cut the model into parts with `edit: [{cut: ...}]`",
    )


def from_model(model: ModelProto, constants: Mapping[str, Array] | None = None) -> Graph:
    """The graph of `model`, at the model's own opset; nodes sorted, named, Constant nodes made constants.

    `constants` supplies initializers whose data the caller has read already (external data).
    """
    proto = model.graph
    graph = Graph(proto.name or "model", [], [], [], {}, opset=opset_of(model))
    for tensor in proto.initializer:
        given = (constants or {}).get(tensor.name)
        graph.constants[tensor.name] = array_of(tensor) if given is None else given
    for sparse in proto.sparse_initializer:
        graph.constants[sparse.values.name] = dense_of(sparse, sparse.values.name)
    graph.inputs = [value.name for value in proto.input if value.name not in graph.constants]
    graph.outputs = [value.name for value in proto.output]
    graph.metadata = {entry.key: entry.value for entry in model.metadata_props}
    names = unique_names([node.name or node.op_type for node in proto.node])
    found = [node_of(node, name) for node, name in zip(proto.node, names, strict=True)]
    graph.nodes = in_order(without_constants(graph, found), graph)
    for value in [*proto.input, *proto.output, *proto.value_info]:
        _take_type(graph, value)
    for name, constant in graph.constants.items():
        graph.shapes[name], graph.dtypes[name] = constant.shape, constant.dtype
    return graph


def opset_of(model: ModelProto) -> int:
    """The version of the default operator set that `model` imports."""
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            return int(entry.version)
    return 1


def to_model(graph: Graph) -> ModelProto:
    """The protobuf of `graph`, with a type for every tensor whose shape is known."""
    return _to_model(graph, (_tensor(array, name) for name, array in graph.constants.items()))


def _chunks(graph: Graph) -> Iterator[bytes | memoryview]:
    return serial.chunks(_to_model(graph, ()), graph.constants)


def _to_model(graph: Graph, constants: Iterable[TensorProto]) -> ModelProto:
    proto = GraphProto(name=graph.name)
    proto.node.extend(node_to_proto(node) for node in graph.nodes)
    proto.initializer.extend(constants)
    proto.input.extend(_value_info(graph, name) for name in graph.inputs)
    proto.output.extend(_value_info(graph, name) for name in graph.outputs)
    border = {*graph.inputs, *graph.outputs}
    inner = [name for node in graph.nodes for name in node.outputs if name and name not in border]
    proto.value_info.extend(_value_info(graph, name) for name in inner if name in graph.shapes)
    model = ModelProto(ir_version=IR_VERSION, producer_name="modelbuild", graph=proto)
    model.opset_import.append(helper.make_opsetid("", graph.opset))
    _set_metadata(model.metadata_props, sorted(kept_quantization.metadata(graph).items()))
    return model


def _take_type(graph: Graph, value: ValueInfoProto) -> None:
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.elem_type:
        return
    graph.dtypes[value.name] = dtype_of(value.type.tensor_type.elem_type, value.name)
    if value.type.tensor_type.HasField("shape"):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims):
            graph.shapes[value.name] = tuple(int(dim.dim_value) for dim in dims)


def without_constants(graph: Graph, nodes: Iterable[Node]) -> list[Node]:
    """`nodes` less the Constant nodes, which become constants of `graph`."""
    return [node for node in nodes if not _take_constant(graph, node)]


def node_of(proto: NodeProto, name: str) -> Node:
    """The node of a protobuf, called `name`. Raises for attributes of kinds that no graph holds."""
    attributes = {item.name: _attribute(item, name, proto.op_type) for item in proto.attribute}
    stored = next((entry.value for entry in proto.metadata_props if entry.key == ORIGIN_KEY), None)
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    return Node(
        proto.op_type, name, list(proto.input), list(proto.output), attributes, domain, _origin(stored, name)
    )


def _origin(stored: str | None, name: str) -> tuple[str, ...]:
    if stored is None:
        return (name,)
    try:
        return tuple(str(item) for item in json.loads(stored))
    except (ValueError, TypeError):
        return (name,)


def _attribute(proto: AttributeProto, node: str, op: str) -> Attribute:
    value: Any = None
    if proto.type not in (AttributeProto.GRAPH, AttributeProto.GRAPHS, AttributeProto.UNDEFINED):
        value = helper.get_attribute_value(proto)
    match value:
        case bytes():
            return _text(value)
        case int() | float():
            return value
        case TensorProto():
            return array_of(value, f"attribute {proto.name} of {node}")
        case SparseTensorProto():
            return dense_of(value, f"attribute {proto.name} of {node}")
    if isinstance(value, Iterable):
        items = list(value)
        if all(isinstance(item, bytes) for item in items) and items:
            return [item.decode("utf-8", "replace") for item in items]
        if all(isinstance(item, int | float) for item in items):
            return items
    kind = AttributeProto.AttributeType.Name(proto.type).lower()
    raise ModelbuildError(f"{op} `{node}` has the attribute `{proto.name}` of the unsupported kind {kind}")


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def _take_constant(graph: Graph, node: Node) -> bool:
    """Turns a Constant node into a constant of the graph."""
    if node.op != "Constant" or node.domain:
        return False
    kind, value = next(iter(node.attributes.items()), ("nothing", None))
    types: dict[str, Any] = {
        "value": None,
        "sparse_value": None,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    types |= {"value_float": np.float32, "value_floats": np.float32}
    fits = isinstance(value, np.ndarray) if kind.endswith("value") else isinstance(value, int | float | list)
    if kind not in types or not fits or len(node.outputs) != 1 or not node.outputs[0]:
        raise ModelbuildError(
            f"the Constant `{node.name}` holds {kind.replace('_', ' ')}, which no NPU can take",
            advice="only dense number tensors are supported",
        )
    graph.constants[node.outputs[0]] = np.asarray(value, dtype=types[kind])
    return True


def node_to_proto(node: Node) -> NodeProto:
    """The protobuf of one node, with its origin as metadata."""
    proto = NodeProto(op_type=node.op, name=node.name, domain=node.domain)
    proto.input.extend(node.inputs)
    proto.output.extend(node.outputs)
    for name, value in sorted(node.attributes.items()):
        if isinstance(value, np.ndarray):
            value_proto = helper.make_attribute(name, _tensor(value, ""))
        elif isinstance(value, list) and not value:
            value_proto = helper.make_attribute(name, value, attr_type=AttributeProto.INTS)
        else:
            value_proto = helper.make_attribute(name, value)
        proto.attribute.append(value_proto)
    _set_metadata(proto.metadata_props, [(ORIGIN_KEY, json.dumps(list(node.origin)))] if node.origin else [])
    return proto


def _tensor(array: Array, name: str) -> TensorProto:
    proto = TensorProto(name=name, data_type=element_type_of(array.dtype), dims=array.shape)
    proto.raw_data = serial.data(array).tobytes()
    return proto


def _value_info(graph: Graph, name: str) -> ValueInfoProto:
    dtype = graph.dtypes.get(name, np.dtype(np.float32))
    return helper.make_tensor_value_info(name, element_type_of(dtype), graph.shapes.get(name))


def _set_metadata(target: Any, entries: Iterable[tuple[str, str]]) -> None:
    for key, value in entries:
        entry = target.add()
        entry.key, entry.value = key, value
