"""The bytes of an ONNX model in pieces, so that its weights are never copied: what protobuf itself writes.

Source: protobuf's encoding (tags are number * 8 + 2 for fields with a length) and onnx.proto's field numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto

from modelbuild.graph.model import Array
from modelbuild.graph.tensors import element_type_of

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # of ModelProto, GraphProto and TensorProto
_AFTER_GRAPH = ("opset_import", "metadata_props", "training_info", "functions")
_AFTER_INITIALIZERS = ("doc_string", "input", "output", "value_info", "quantization_annotation")


def chunks(model: ModelProto, constants: Mapping[str, Array]) -> Iterator[bytes | memoryview]:
    """The serialised `model`, whose graph has no initializers, with `constants` as these."""
    front, back = _parted(model, _AFTER_GRAPH)
    graph_front, graph_back = _parted(model.graph, _AFTER_INITIALIZERS)
    heads = {name: _head(array, name) for name, array in constants.items()}
    sizes = {name: len(heads[name]) + constants[name].nbytes for name in constants}
    ends = [item.SerializeToString(deterministic=True) for item in (graph_front, graph_back)]
    inner = sum(len(_field(_INITIALIZER, size)) + size for size in sizes.values())
    yield front.SerializeToString(deterministic=True)
    yield _field(_GRAPH, len(ends[0]) + inner + len(ends[1])) + ends[0]
    for name, array in constants.items():
        yield _field(_INITIALIZER, sizes[name]) + heads[name]
        yield data(array)
    yield ends[1] + back.SerializeToString(deterministic=True)


def data(array: Array) -> memoryview:
    """The bytes of an array, little-endian, without a copy where it lies so."""
    values: Any = np.ascontiguousarray(array)
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return memoryview(little.reshape(-1).view(np.uint8))


def _parted(message: Any, later: tuple[str, ...]) -> tuple[Any, Any]:
    """Two copies of a protobuf: without the fields `later`, and of those alone."""
    front, back = type(message)(), type(message)()
    for field, value in message.ListFields():
        target = back if field.name in later else front
        if field.name == "graph" and isinstance(message, ModelProto):
            continue
        if isinstance(value, (str, bytes, int)):
            setattr(target, field.name, value)
        else:
            getattr(target, field.name).extend(value)
    return front, back


def _head(array: Array, name: str) -> bytes:
    tensor = TensorProto(name=name, data_type=element_type_of(array.dtype), dims=array.shape)
    return tensor.SerializeToString(deterministic=True) + _field(_RAW_DATA, array.nbytes)


def _field(number: int, length: int) -> bytes:
    """The tag and length in front of a field's bytes."""
    digits = [number << 3 | 2]
    while length >= 128:
        digits.append(length & 127 | 128)
        length >>= 7
    return bytes([*digits, length])
