"""The FlatBuffer of a TFLite file as plain data; every offset, count and index is checked."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.formats import tflite_schema as schema
from modelbuild.formats.flatbuffer import MAX_TABLES, Buffer, Table, damaged
from modelbuild.formats.tflite_schema import (
    BufferSlot,
    CodeSlot,
    ModelSlot,
    OperatorSlot,
    QuantizationSlot,
    SubGraphSlot,
    TensorSlot,
)
from modelbuild.graph.model import Shape
from modelbuild.graph.order import unique_names

_NAME = "the TFLite file"
_MAX_RANK = 8
_BYTES_A_TABLE = 12  # a table with its vtable and the offset that refers to it takes at least this


@dataclass(frozen=True)
class Quantization:
    """value = scale * (code - zero_point); one pair, or one for each index of `axis`."""

    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int


@dataclass(frozen=True)
class Tensor:
    """A tensor of the main subgraph. `span` is the place of a constant's bytes in the file."""

    name: str
    type: str
    shape: Shape
    signature: tuple[int, ...]  # as `shape`, with -1 for a size that is open
    span: tuple[int, int] | None = None
    quantization: Quantization | None = None
    unsupported: str = ""  # why its values cannot be read, where they cannot


@dataclass(frozen=True)
class Spread:
    """What surrounds a convolution that is dilated (see `dilated`): (height, width) and ONNX's four pads."""

    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]


@dataclass(frozen=True)
class Operator:
    """An operator; it has no name of its own and goes by its first output's. -1 is an absent input."""

    op: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None
    custom: str = ""
    spread: Spread | None = None


@dataclass
class Model:
    """The main subgraph, with what the tensors refer to by number."""

    data: bytes
    name: str
    producer: str
    tensors: list[Tensor]
    inputs: list[int]
    outputs: list[int]
    operators: list[Operator]
    others: int = 0  # further subgraphs: of other signatures, or branches and bodies of loops

    def names(self, indices: list[int] | tuple[int, ...]) -> list[str]:
        """The names of the tensors with these numbers; "" for an absent one."""
        return [self.tensors[index].name if index >= 0 else "" for index in indices]


def parse(data: bytes) -> Model:
    """The model in the bytes of a .tflite file. Raises for what is not one, is damaged, or is too new."""
    if data[4:8] != schema.IDENTIFIER:
        raise ModelbuildError(
            "this is not a TFLite file",
            why=f"its bytes 4 to 7 are {data[4:8]!r}, not {schema.IDENTIFIER!r}",
            advice="name a file that the TFLite or LiteRT converter wrote, or copy it again",
        )
    buffer = Buffer(data, _NAME, max(MAX_TABLES, len(data) // _BYTES_A_TABLE // 4))
    root = Table(buffer, buffer.number(struct.Struct("<I"), 0), 0)
    version = root.integer(ModelSlot.VERSION, "I")
    if version != schema.VERSION:
        raise ModelbuildError(
            f"the TFLite file has schema version {version}",
            why=f"version {schema.VERSION} is read, which every converter since 2017 writes",
            advice="convert the model again",
        )
    graphs = root.tables(ModelSlot.SUBGRAPHS)
    if not graphs:
        raise damaged("it holds no graph", _NAME, root.position)
    main = graphs[0]
    tensors = _tensors(main, root.tables(ModelSlot.BUFFERS))
    inputs = _indices(main, SubGraphSlot.INPUTS, len(tensors), optional=False)
    outputs = _indices(main, SubGraphSlot.OUTPUTS, len(tensors), optional=False)
    tensors = _named(tensors, [*inputs, *outputs])
    codes = [_code(table) for table in root.tables(ModelSlot.OPERATOR_CODES)]
    operators = [_operator(table, codes, tensors) for table in main.tables(SubGraphSlot.OPERATORS)]
    tensors = _with_empty_constants(tensors, {*inputs, *(i for item in operators for i in item.outputs)})
    name = main.string(SubGraphSlot.NAME) or "model"
    producer = root.string(ModelSlot.DESCRIPTION) or ""
    return Model(
        data, name, producer.strip(), tensors, list(inputs), list(outputs), operators, len(graphs) - 1
    )


def _code(table: Table) -> tuple[str, str]:
    """The operator's name, and what a custom one calls itself."""
    name = schema.operator_name(table.integer(CodeSlot.OLD, "b"), table.integer(CodeSlot.NEW, "i"))
    return name, table.string(CodeSlot.CUSTOM) or ""


def _operator(table: Table, codes: list[tuple[str, str]], tensors: list[Tensor]) -> Operator:
    code = table.integer(OperatorSlot.CODE, "I")
    if code >= len(codes):
        raise damaged(f"an operator has the code {code} of {len(codes)}", _NAME, table.position)
    inputs = _indices(table, OperatorSlot.INPUTS, len(tensors), optional=True)
    outputs = _indices(table, OperatorSlot.OUTPUTS, len(tensors), optional=False)
    op, custom = codes[code]
    name = tensors[outputs[0]].name if outputs else op
    return Operator(op, name, inputs, outputs, table.table(OperatorSlot.OPTIONS), custom)


def _indices(table: Table, slot: int, count: int, optional: bool) -> tuple[int, ...]:
    found = table.integers(slot, "i")
    if any(not -int(optional) <= index < count for index in found):
        raise damaged(f"a tensor's number is none of 0 to {count - 1}", _NAME, table.position)
    return found


def _named(tensors: list[Tensor], border: list[int]) -> list[Tensor]:
    """`tensors` with a name of its own for each; those at the model's border keep theirs."""
    order = list(dict.fromkeys([*border, *range(len(tensors))]))
    names = unique_names(tensors[index].name or f"tensor_{index}" for index in order)
    by_index = dict(zip(order, names, strict=True))
    return [replace(tensor, name=by_index[index]) for index, tensor in enumerate(tensors)]


def _tensors(graph: Table, buffers: tuple[Table, ...]) -> list[Tensor]:
    spans = [_span(table) for table in buffers]
    return [_tensor(table, spans) for table in graph.tables(SubGraphSlot.TENSORS)]


def _with_empty_constants(tensors: list[Tensor], made: set[int]) -> list[Tensor]:
    """A tensor of no elements that nothing makes is a constant, though its buffer has no bytes."""
    return [
        replace(tensor, span=(0, 0)) if 0 in tensor.shape and not tensor.span and i not in made else tensor
        for i, tensor in enumerate(tensors)
    ]


def _tensor(table: Table, spans: list[tuple[int, int] | None]) -> Tensor:
    code = table.integer(TensorSlot.TYPE, "b")
    if not 0 <= code < len(schema.TENSOR_TYPES):
        raise damaged(f"a tensor has the type {code}", _NAME, table.position)
    shape = table.integers(TensorSlot.SHAPE, "i")
    signature = table.integers(TensorSlot.SHAPE_SIGNATURE, "i") or shape
    if len(signature) != len(shape) or len(shape) > _MAX_RANK:
        raise damaged(f"a tensor has the shape {list(shape)[:9]}", _NAME, table.position)
    index = table.integer(TensorSlot.BUFFER, "I")
    if index >= max(len(spans), 1):
        raise damaged(f"a tensor has the buffer {index} of {len(spans)}", _NAME, table.position)
    tensor = Tensor(
        table.string(TensorSlot.NAME) or "",
        schema.TENSOR_TYPES[code],
        shape,
        signature,
        spans[index] if spans else None,
        _quantization(table.table(TensorSlot.QUANTIZATION)),
    )
    return replace(tensor, unsupported=_unsupported(table, tensor))


def _unsupported(table: Table, tensor: Tensor) -> str:
    if table.integer(TensorSlot.IS_VARIABLE, "B"):
        return "it is a state that is kept from run to run"
    if table.has(TensorSlot.SPARSITY):
        return "it is stored sparse"
    if table.integer(TensorSlot.EXTERNAL_BUFFER, "I"):
        return "its values are in another file"
    details = table.table(TensorSlot.QUANTIZATION)
    if details is not None and details.integer(QuantizationSlot.DETAILS - 1, "B"):
        return "it is quantized in blocks"
    return ""


def _span(table: Table) -> tuple[int, int] | None:
    """The place of a buffer's bytes: inside of the FlatBuffer, or behind it in large files."""
    start, size = table.span(BufferSlot.DATA, 1)
    if not size and table.integer(BufferSlot.OFFSET, "Q") > 1:
        start, size = table.integer(BufferSlot.OFFSET, "Q"), table.integer(BufferSlot.SIZE, "Q")
        table.buffer.claim(start, size)
    return (start, size) if size else None


def _quantization(table: Table | None) -> Quantization | None:
    """None where the table holds a range only, as files of float models may."""
    if table is None or not table.span(QuantizationSlot.SCALE, 4)[1]:
        return None
    start, count = table.span(QuantizationSlot.SCALE, 4)
    table.buffer.spend(count * 4, start)
    data = table.buffer.data
    scales = np.frombuffer(data, "<f4", count, start).astype(np.float32)
    if count == 1 and not scales[0]:  # how older converters say that a tensor is not quantized
        return None
    start, zeros = table.span(QuantizationSlot.ZERO_POINT, 8)
    table.buffer.spend(zeros * 8, start)
    points = np.frombuffer(data, "<i8", zeros, start).astype(np.int64)
    if zeros not in (0, 1, count):
        raise damaged(f"a tensor has {count} scales and {zeros} zero points", _NAME, table.position)
    points = np.broadcast_to(points if zeros else np.zeros(1, np.int64), (count,))
    return Quantization(scales, points, table.integer(QuantizationSlot.DIMENSION, "i"))
