"""Static shapes and types of every tensor, node by node, with shape arithmetic computed on the way."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, TypeProto, defs, helper, numpy_helper, shape_inference

from modelbuild.errors import ModelbuildError
from modelbuild.graph import validity
from modelbuild.graph.constant_operators import evaluate
from modelbuild.graph.model import Array, Attribute, Graph, Node, Shape
from modelbuild.graph.onnx_io import IR_VERSION, node_to_proto
from modelbuild.graph.tensors import dtype_of, element_type_of

_MAX_BYTES = 2**29  # of one feature map: far beyond any edge chip, and a bound for damaged files
# Operators that ONNX infers no shape for in some sets: as large as their inputs together.
_LIKE_THEIR_INPUTS = ("GroupNormalization", "GreaterOrEqual", "LessOrEqual", "MeanVarianceNormalization")
_MAX_HINT = 4096  # constants of at most this many values are shown to ONNX's own inference
Type = tuple[Shape, "np.dtype[np.generic]"]


def infer(graph: Graph) -> None:
    """Fills `graph.shapes` and `graph.dtypes`.

    Raises naming the first tensor whose shape depends on data or is not static, and the first node whose
    inputs do not fit it.
    """
    known_values(graph)


def known_values(graph: Graph) -> dict[str, Array]:
    """As `infer`, and returns every tensor that is the same for all inputs, constants included."""
    values = dict(graph.constants)
    known = {*graph.inputs, *values}
    for name in list(graph.shapes):
        if name not in known:
            del graph.shapes[name]
    for name, constant in values.items():
        graph.shapes[name], graph.dtypes[name] = constant.shape, constant.dtype
    for name in graph.inputs:
        if name not in graph.shapes or name not in graph.dtypes:
            raise ModelbuildError(f"the shape of the input `{name}` is not known")
    for node in graph.nodes:
        _visit(graph, node, values)
    return values


def node_types(graph: Graph, node: Node, values: Mapping[str, Array]) -> dict[str, Type]:
    """The shape and type of each output of `node`, by ONNX's own inference of this one node.

    What was found of such a node before is remembered: passes ask for the same again and again."""
    asked = _asked(graph, node, values)
    remembered = _found.get(asked)
    if remembered is None:
        types = _inferred(graph, node, values)
        if len(_found) >= _MOST_FOUND:
            _found.clear()
        _found[asked] = [types.get(name) for name in node.outputs]
        return types
    validity.check(graph, node, values)
    return {name: found for name, found in zip(node.outputs, remembered, strict=True) if found is not None}


_found: dict[Hashable, list[Type | None]] = {}
_MOST_FOUND = 4096  # nodes: more than one model has that differ


def _asked(graph: Graph, node: Node, values: Mapping[str, Array]) -> Hashable:
    """All that the types of a node's outputs depend on."""
    attributes = tuple((name, _exact(value)) for name, value in sorted(node.attributes.items()))
    inputs = tuple(_input(graph, name, values.get(name)) if name else None for name in node.inputs)
    outputs = tuple(bool(name) for name in node.outputs)
    return (node.op, node.domain, graph.opset, attributes, inputs, outputs)


def _input(graph: Graph, name: str, value: Array | None) -> Hashable:
    content = None if value is None or value.size > _MAX_HINT else _digest(value)
    return (graph.shapes[name], graph.dtypes[name], content)


def _exact(value: Attribute) -> Hashable:
    """An attribute, so that 1 is not 1.0, and -0.0 not 0.0."""
    return (str(value.dtype), value.shape, _digest(value)) if isinstance(value, np.ndarray) else repr(value)


def _digest(value: Array) -> bytes:
    """The bytes of an array, or what stands for them where they are many."""
    content = value.tobytes()
    return content if len(content) <= 64 else hashlib.blake2b(content, digest_size=32).digest()


def _inferred(graph: Graph, node: Node, values: Mapping[str, Array]) -> dict[str, Type]:
    inputs = {name: _type_proto(graph, name) for name in node.inputs if name}
    hints = {
        name: numpy_helper.from_array(np.array(values[name], order="C"), name)
        for name in inputs
        if name in values and values[name].size <= _MAX_HINT
    }
    try:
        schema = defs.get_schema(node.op, graph.opset, node.domain)
        proto = node_to_proto(node)
        found = dict[str, TypeProto]()
        if not (schema.deprecated and node.op in _LIKE_THEIR_INPUTS):  # as set 18's GroupNormalization
            onnx.checker.check_node(proto, _checker_context(graph.opset))
            opsets = [helper.make_opsetid("", graph.opset)]
            found = shape_inference.infer_node_outputs(schema, proto, inputs, hints, opset_imports=opsets)
    except (
        shape_inference.InferenceError,
        defs.SchemaError,
        onnx.checker.ValidationError,
        RuntimeError,
        ValueError,
    ) as error:
        raise ModelbuildError(f"{node.op} `{node.name}` is not valid", why=_first_line(error)) from error
    if node.op in _LIKE_THEIR_INPUTS and not node.domain:
        found = {node.outputs[0]: _broadcast_type(graph, node)}
    validity.check(graph, node, values)
    types = {name: _type_of(name, found.get(name), node) for name in node.outputs if name}
    if node.attributes.get("ceil_mode"):
        types = {
            name: (_without_outside(graph, node, shape), dtype) for name, (shape, dtype) in types.items()
        }
    return types


def _broadcast_type(graph: Graph, node: Node) -> TypeProto:
    compares = node.op.endswith("OrEqual")
    given = [graph.shapes[name] for name in (node.inputs if compares else node.inputs[:1])]
    kind = TensorProto.BOOL if compares else element_type_of(graph.dtypes[node.inputs[0]])
    try:
        return helper.make_tensor_type_proto(kind, np.broadcast_shapes(*given))
    except ValueError as error:
        raise ModelbuildError(f"{node.op} `{node.name}` is not valid", why=str(error)) from error


def _without_outside(graph: Graph, node: Node, shape: Shape) -> Shape:
    """`shape` of a pool with ceil_mode, less a last window that begins in the padding behind the picture.

    Operator sets before 19 left such a window open; onnxruntime and PyTorch leave it out at any set.
    """
    given = graph.shapes[node.inputs[0]][2:]
    strides, pads = node.ints("strides", [1] * len(given)), node.ints("pads", [0] * 2 * len(given))
    outside = [
        (count - 1) * stride >= size + before
        for count, stride, size, before in zip(shape[2:], strides, given, pads, strict=False)
    ]
    return (*shape[:2], *(count - late for count, late in zip(shape[2:], outside, strict=True)))


def _visit(graph: Graph, node: Node, values: dict[str, Array]) -> None:
    for name, (shape, dtype) in node_types(graph, node, values).items():
        graph.shapes[name], graph.dtypes[name] = shape, dtype
    for name, value in zip(node.outputs, _values(graph, node, values) or (), strict=False):
        if name and value.shape != graph.shapes[name]:
            raise ModelbuildError(f"{node.op} `{node.name}` gives {value.shape}, not {graph.shapes[name]}")
        if name:
            values[name] = value.astype(graph.dtypes[name], copy=False)
    for name in node.outputs:
        if name and name not in values and 0 in graph.shapes[name]:
            raise ModelbuildError(
                f"the tensor `{name}` of {node.op} `{node.name}` is empty: {list(graph.shapes[name])}"
            )


def _values(graph: Graph, node: Node, values: Mapping[str, Array]) -> Sequence[Array] | None:
    if node.domain:
        return None
    if node.op in ("Shape", "Size"):
        shape = graph.shapes[node.inputs[0]]
        if node.op == "Size":
            return [np.array(math.prod(shape), np.int64)]
        return [np.array(shape[node.int("start", 0) : _end(node)], np.int64)]
    if node.op == "CastLike":
        node = _plain_cast(graph, node)
    if not node.inputs or any(name and name not in values for name in node.inputs):
        return None
    try:
        return evaluate(node, [values[name] if name else None for name in node.inputs])
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise ModelbuildError(
            f"{node.op} `{node.name}` cannot be computed", why=_first_line(error)
        ) from error


def _plain_cast(graph: Graph, node: Node) -> Node:
    """A CastLike as a Cast: of its second input the type matters, not the values."""
    kind = element_type_of(graph.dtypes[node.inputs[1]])
    return Node("Cast", node.name, node.inputs[:1], node.outputs, {"to": kind})


def _end(node: Node) -> int | None:
    return node.int("end", 0) if "end" in node.attributes else None


def _type_proto(graph: Graph, name: str) -> TypeProto:
    return helper.make_tensor_type_proto(element_type_of(graph.dtypes[name]), graph.shapes[name])


def _type_of(name: str, found: TypeProto | None, node: Node) -> Type:
    if found is None or not found.HasField("tensor_type") or not found.tensor_type.HasField("shape"):
        kind = (
            "a sequence or optional"
            if found is not None and found.WhichOneof("value") != "tensor_type"
            else ""
        )
        raise _not_static(name, node, kind)
    dims = found.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims):
        raise _not_static(name, node, "")
    shape = tuple(int(dim.dim_value) for dim in dims)
    dtype = dtype_of(found.tensor_type.elem_type or TensorProto.FLOAT, name)
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize > _MAX_BYTES:
        raise ModelbuildError(
            f"the tensor `{name}` of {node.op} `{node.name}` would have the shape {list(shape)}",
            why=f"a tensor may hold at most {_MAX_BYTES >> 20} MiB",
        )
    return shape, dtype


def _not_static(name: str, node: Node, kind: str) -> ModelbuildError:
    return ModelbuildError(
        f"the tensor `{name}`, made by {node.op} `{node.name}`, has no static shape",
        why=f"it is {kind}" if kind else "its shape depends on the data",
        advice="cut the model before it: `edit: [{cut: {outputs: [...]}}]`",
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


_contexts: dict[int, onnx.checker.C.CheckerContext] = {}


def _checker_context(opset: int) -> onnx.checker.C.CheckerContext:
    if opset not in _contexts:
        context = onnx.checker.C.CheckerContext()
        context.ir_version = IR_VERSION
        context.opset_imports = {"": opset}
        _contexts[opset] = context
    return _contexts[opset]
