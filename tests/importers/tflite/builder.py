"""Writes small TFLite files with Google's flatbuffers package, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np

from modelbuild.formats import tflite_schema as schema

# The members of the union BuiltinOptions, in the order of schema.fbs; 0 is none.
_UNION = """
Conv2D DepthwiseConv2D ConcatEmbeddings LSHProjection Pool2D SVDF RNN FullyConnected Softmax Concatenation Add
L2Norm LocalResponseNormalization LSTM ResizeBilinear Call Reshape SkipGram SpaceToDepth EmbeddingLookupSparse
Mul Pad Gather BatchToSpaceND SpaceToBatchND Transpose Reducer Sub Div Squeeze SequenceRNN StridedSlice Exp
TopKV2 Split LogSoftmax Cast Dequantize MaximumMinimum ArgMax Less Neg PadV2 Greater GreaterEqual LessEqual
Select Slice TransposeConv SparseToDense Tile ExpandDims Equal NotEqual Shape Pow ArgMin FakeQuant Pack
LogicalOr OneHot LogicalAnd LogicalNot Unpack FloorDiv Square ZerosLike Fill BidirectionalSequenceLSTM
BidirectionalSequenceRNN UnidirectionalSequenceLSTM FloorMod Range ResizeNearestNeighbor LeakyRelu
SquaredDifference MirrorPad Abs SplitV Unique ReverseV2 AddN GatherNd Cos Where Rank ReverseSequence
MatrixDiag Quantize MatrixSetDiag HardSwish If While DepthToSpace NonMaxSuppressionV4 NonMaxSuppressionV5
ScatterNd SelectV2 Densify SegmentSum BatchMatMul Cumsum CallOnce BroadcastTo Rfft2d Conv3D Hashtable
HashtableFind HashtableImport HashtableSize VarHandle ReadVariable AssignVariable Random Bucketize Gelu
"""
_MEMBERS = {name.upper(): index for index, name in enumerate(_UNION.split(), 1)}
_OTHER_NAMES = {
    **dict.fromkeys(("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D"), "POOL2D"),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), "REDUCER"),
    **dict.fromkeys(("REDUCE_ANY", "REDUCE_ALL"), "REDUCER"),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), "MAXIMUMMINIMUM"),
    "L2_NORMALIZATION": "L2NORM",
}
_VERSIONS = {"BROADCAST_TO": 2}
_STORES = {"b": "Int8", "B": "Bool", "i": "Int32", "f": "Float32", "I": "Uint32", "q": "Int64", "Q": "Uint64"}
Options = Mapping[int, tuple[str, Any]]  # slot -> kind ("v" a vector of int32) and value


@dataclass
class Quantized:
    """A tensor's scales and zero points."""

    scale: Sequence[float]
    zero: Sequence[int] = (0,)
    axis: int = 0


@dataclass
class _Tensor:
    name: str
    shape: Sequence[int]
    type: str
    data: bytes | None
    quantized: Quantized | None
    signature: Sequence[int] | None
    variable: bool


@dataclass
class _Operator:
    op: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: Options
    custom: str


@dataclass
class TFLite:
    """A model under construction; tensors go by their numbers."""

    tensors: list[_Tensor] = field(default_factory=list)
    operators: list[_Operator] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str = "float32",
        quantized: Quantized | None = None,
        signature: Sequence[int] | None = None,
        variable: bool = False,
    ) -> int:
        """A tensor that an operator makes, or an input."""
        self.tensors.append(_Tensor(name, shape, kind, None, quantized, signature, variable))
        return len(self.tensors) - 1

    def constant(self, name: str, value: Any, quantized: Quantized | None = None, kind: str = "") -> int:
        """A tensor with values, of numpy's type unless `kind` says otherwise; equal bytes are stored once."""
        array = np.asarray(value)
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        self.tensors.append(
            _Tensor(name, array.shape, kind or str(array.dtype), data, quantized, None, False)
        )
        return len(self.tensors) - 1

    def add(
        self,
        op: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Options | None = None,
        custom: str = "",
    ) -> None:
        """An operator."""
        self.operators.append(_Operator(op, inputs, outputs, options or {}, custom))

    def build(
        self, inputs: Sequence[int], outputs: Sequence[int], outside: bool = False, copies: int = 1
    ) -> bytes:
        """The file; with `outside` the constants' bytes are behind the FlatBuffer, as above 2 GB. It holds
        the graph `copies` times."""
        if not outside:
            return self._build(inputs, outputs, None, copies)
        start = len(self._build(inputs, outputs, 2))
        data = [tensor.data for tensor in self.tensors if tensor.data is not None]
        return self._build(inputs, outputs, start) + b"".join(dict.fromkeys(data))

    def _build(
        self, inputs: Sequence[int], outputs: Sequence[int], place: int | None, copies: int = 1
    ) -> bytes:
        b = flatbuffers.Builder(1024)
        buffers = [_table(b, {})]
        stored: dict[bytes | None, int] = {None: 0}
        for data in (tensor.data for tensor in self.tensors if tensor.data is not None):
            if data not in stored:
                stored[data] = len(buffers)
                if place is None:
                    buffers.append(_table(b, {0: ("O", b.CreateByteVector(data))}))
                else:
                    buffers.append(_table(b, {1: ("Q", place), 2: ("Q", len(data))}))
                    place += len(data)
        tensors = [_tensor(b, tensor, stored[tensor.data]) for tensor in self.tensors]
        codes = list(dict.fromkeys((operator.op, operator.custom) for operator in self.operators))
        operators = [_operator(b, operator, codes) for operator in self.operators]
        graph = _table(
            b,
            {
                0: ("O", _offsets(b, tensors)),
                1: ("O", _ints(b, inputs)),
                2: ("O", _ints(b, outputs)),
                3: ("O", _offsets(b, operators)),
                4: ("O", b.CreateString("main")),
            },
        )
        fields = {
            0: ("I", 3),
            1: ("O", _offsets(b, [_code(b, *code) for code in codes])),
            2: ("O", _offsets(b, [graph] * copies)),
            3: ("O", b.CreateString("made by a test")),
            4: ("O", _offsets(b, buffers)),
        }
        b.Finish(_table(b, fields), file_identifier=schema.IDENTIFIER)
        return bytes(b.Output())


def one(op: str, inputs: int = 1, custom: str = "") -> bytes:
    """x -> relu -> the operator -> y."""
    model = TFLite()
    x, middle, y = (model.tensor(name, [1, 4, 4, 2]) for name in ("x", "middle", "y"))
    model.add("RELU", [x], [middle])
    model.add(op, [middle] * inputs, [y], custom=custom)
    return model.build([x], [y])


def _tensor(b: Any, tensor: _Tensor, buffer: int) -> int:
    fields: dict[int, tuple[str, Any]] = {
        0: ("O", _ints(b, tensor.shape)),
        1: ("b", schema.TENSOR_TYPES.index(tensor.type)),
        2: ("I", buffer),
        3: ("O", b.CreateString(tensor.name)),
        5: ("B", tensor.variable),
    }
    if tensor.quantized is not None:
        found = tensor.quantized
        scale = b.CreateNumpyVector(np.array(found.scale, np.float32))
        zero = b.CreateNumpyVector(np.array(found.zero, np.int64))
        fields[4] = ("O", _table(b, {2: ("O", scale), 3: ("O", zero), 6: ("i", found.axis)}))
    if tensor.signature is not None:
        fields[7] = ("O", _ints(b, tensor.signature))
    return _table(b, fields)


def _operator(b: Any, operator: _Operator, codes: Sequence[tuple[str, str]]) -> int:
    fields: dict[int, tuple[str, Any]] = {
        0: ("I", codes.index((operator.op, operator.custom))),
        1: ("O", _ints(b, operator.inputs)),
        2: ("O", _ints(b, operator.outputs)),
    }
    member = _OTHER_NAMES.get(operator.op, operator.op.replace("_", ""))
    if member in _MEMBERS:
        fields[3] = ("b", _MEMBERS[member])
        fields[4] = ("O", _table(b, _options(b, operator.options)))
    return _table(b, fields)


def _options(b: Any, options: Options) -> dict[int, tuple[str, Any]]:
    return {
        slot: ("O", _ints(b, value)) if kind == "v" else (kind, value)
        for slot, (kind, value) in options.items()
    }


def _code(b: Any, op: str, custom: str) -> int:
    number = schema.OPERATORS.index(op)
    fields: dict[int, tuple[str, Any]] = {
        0: ("b", min(number, 127)),
        2: ("i", _VERSIONS.get(op, 1)),
        3: ("i", number),
    }
    if custom:
        fields[1] = ("O", b.CreateString(custom))
    return _table(b, fields)


def _table(b: Any, fields: Mapping[int, tuple[str, Any]]) -> int:
    b.StartObject(max(fields, default=-1) + 1)
    for slot, (kind, value) in fields.items():
        if kind == "O":
            b.PrependUOffsetTRelativeSlot(slot, value, 0)
        else:
            getattr(b, f"Prepend{_STORES[kind]}Slot")(slot, value, None)
    return int(b.EndObject())


def _ints(b: Any, values: Sequence[int]) -> int:
    return int(b.CreateNumpyVector(np.array(values, np.int32)))


def _offsets(b: Any, values: Sequence[int]) -> int:
    b.StartVector(4, len(values), 4)
    for value in reversed(values):
        b.PrependUOffsetTRelative(value)
    return int(b.EndVector())
