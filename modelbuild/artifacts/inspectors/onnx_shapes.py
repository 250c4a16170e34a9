"""Shapes of an ONNX model that anybody may have made: few axes, and inferred only where that takes little."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import onnx
from google.protobuf.message import DecodeError

from modelbuild.errors import ModelbuildError
from modelbuild.importers import functions

MAX_RANK = 64  # as numpy has it; networks have up to eight
_MAX_SIZES = 1 << 20  # axes and elements of shapes that inference may make, of all values together
_INTEGERS = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
# Operators whose result has as many axes as a tensor of sizes, or an attribute, has elements.
_SHAPED = frozenset(
    {
        *("Reshape", "Expand", "ConstantOfShape", "Tile", "Resize", "Upsample", "CenterCropPad", "Col2Im"),
        *("AffineGrid", "RandomNormal", "RandomUniform"),
    }
)
# Operators whose result may have more axes than each of their inputs.
_JOINING = frozenset(
    {
        *("Gather", "GatherND", "Unsqueeze", "Einsum", "OneHot", "Loop", "Scan", "SplitToSequence"),
        *("ConcatFromSequence", "DFT", "STFT", "StringSplit"),
    }
)
# Operators whose result may have more axes, or more elements that are known, than their inputs.
_MAKING = _SHAPED | _JOINING | {"Shape", "Constant", "Concat"}
# Operators that give the values of their inputs on, besides those above.
_PROPAGATING = frozenset({"Add", "Cast", "Mul", "Size", "Slice", "Squeeze", "Sub"})


class _Room(NamedTuple):
    """How many axes a value has at most, and how many elements of it inference may know."""

    rank: int = 0
    elements: int = 0


_NOTHING = _Room()


def check_ranks(model: onnx.ModelProto) -> None:
    """Raises ModelbuildError for a tensor with more than MAX_RANK axes: the product of their sizes, that is
    its size, could have millions of digits."""
    for name, rank in _ranks(model.graph):
        if rank > MAX_RANK:
            raise ModelbuildError(
                "the model is damaged: a tensor has too many axes",
                where=f"tensor {name[:80]!r}",
                why=f"{rank} axes; at most {MAX_RANK} are read",
                advice="copy or download it again",
            )


def _ranks(graph: onnx.GraphProto) -> Iterator[tuple[str | bytes, int]]:
    """Name and number of axes of what the graph states; of constants in nodes, too."""
    for tensor in graph.initializer:
        yield tensor.name, len(tensor.dims)
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name, len(value.type.tensor_type.shape.dim)
    for node in graph.node:
        for item in node.attribute:
            yield item.name, len(item.t.dims)


def inferred(model: onnx.ModelProto, *, with_values: bool = True) -> onnx.GraphProto | None:
    """The graph without functions and with the shapes that follow, also from values that are shapes where
    `with_values`. None where the model is not valid, or where that could take much more than the file."""
    try:
        plain = functions.inlined(model)
        if _total(plain.graph, {}) > _MAX_SIZES:
            return None
        found = onnx.shape_inference.infer_shapes(plain, data_prop=with_values)
        return found.graph
    except (
        ModelbuildError,
        DecodeError,
        onnx.shape_inference.InferenceError,
        RuntimeError,
        ValueError,
        TypeError,
    ):
        return None


def _total(graph: onnx.GraphProto, outer: Mapping[str, _Room]) -> int:
    """What all values take, estimated from above; counting ends beyond _MAX_SIZES."""
    known = dict(outer)
    for value in (*graph.input, *graph.value_info):
        known[value.name] = _Room(len(value.type.tensor_type.shape.dim))
    for tensor in graph.initializer:
        known[tensor.name] = _of_tensor(tensor)
    total = 0
    for node in graph.node:
        outputs = node.output
        room = _of_node(node, [known.get(name, _NOTHING) for name in node.input])
        for inner in _graphs(node):
            within = _total(inner, known)
            room = _Room(room.rank + within, room.elements + within)
        for name in outputs:
            known[name] = room
        total += (room.rank + room.elements) * len(outputs)
        if total > _MAX_SIZES:
            break
    return total


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for item in node.attribute:
        yield from (item.g, *item.graphs) if item.type in (item.GRAPH, item.GRAPHS) else ()


def _of_tensor(tensor: onnx.TensorProto) -> _Room:
    count = math.prod(tensor.dims) if tensor.data_type in _INTEGERS and len(tensor.dims) < MAX_RANK else 0
    return _Room(len(tensor.dims), max(count, 0))


def _of_node(node: onnx.NodeProto, inputs: list[_Room]) -> _Room:
    op = node.op_type
    if op not in _MAKING:
        rank = max([room.rank for room in inputs], default=0)
        return _Room(rank, max([room.elements for room in inputs], default=0) if op in _PROPAGATING else 0)
    ranks, elements = [room.rank for room in inputs], [room.elements for room in inputs]
    rank, stated = max(ranks, default=0), sum(len(item.ints) for item in node.attribute)
    match op:
        case "Shape":
            return _Room(1, rank)
        case "Constant":
            found = max((_of_tensor(item.t) for item in node.attribute), default=_NOTHING)
            return _Room(max(1, found.rank), max(stated, found.elements))
        case "Concat":
            return _Room(rank, sum(elements))
        case "Gather":
            known = elements[1] if len(elements) > 1 and elements[0] else 0
            return _Room(sum(ranks), max(known, 1) if elements and elements[0] else 0)
        case _ if op in _JOINING:
            return _Room(sum(ranks) + sum(elements[1:]) + stated + 1, max(elements, default=0))
    return _Room(max(rank, stated, *elements, 0), 0)
