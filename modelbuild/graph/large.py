"""Graphs whose weights exceed the 2 GB of one protobuf: how they lie on the disk.

Between stages: `MAGIC`, the length of the protobuf (64 bits, little-endian), the protobuf, then the data of
the constants that are apart, each at a multiple of 64 bytes; their places count from the first such multiple
behind the protobuf.
For others: an ONNX file with all of these as external data in one file beside it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from modelbuild import whole_file
from modelbuild.errors import ModelbuildError
from modelbuild.graph import serial
from modelbuild.graph.model import Array
from modelbuild.graph.tensors import dtype_of, element_type_of

MAGIC = b"MBGRAPH\x01"
MAX_BYTES = 2**31 - 2**24  # of weights; the rest of protobuf's 2**31 - 1 is left to nodes and names
_APART = 2**10  # bytes from which on a constant is kept apart
_ALIGNMENT = 64  # a line of the processor's cache
_HEAD = struct.Struct("<8sQ")


def weights(constants: Mapping[str, Array]) -> int:
    """The bytes of all constants together."""
    return sum(array.nbytes for array in constants.values())


def is_apart(array: Array) -> bool:
    """Whether the constant is kept outside of the protobuf."""
    return array.nbytes >= _APART


def place_holders(constants: Mapping[str, Array]) -> Iterator[TensorProto]:
    """The initializers: without data and place of constants that are kept apart, with data of others."""
    for name, array in constants.items():
        tensor = TensorProto(name=name, data_type=element_type_of(array.dtype), dims=array.shape)
        if is_apart(array):
            tensor.data_location = TensorProto.EXTERNAL
        else:
            tensor.raw_data = serial.data(array).tobytes()
        yield tensor


def is_large(path: Path) -> bool:
    """Whether `write` made the file."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def write(path: Path, model: ModelProto, constants: Mapping[str, Array]) -> None:
    """Protobuf and data in one file, for `read`."""
    _place(model, constants, "")
    head = model.SerializeToString(deterministic=True)
    with path.open("wb") as stream:
        stream.write(_HEAD.pack(MAGIC, len(head)) + head)
        _write_data(stream, model, constants, _aligned(stream.tell()))


def write_beside(path: Path, data: Path, model: ModelProto, constants: Mapping[str, Array]) -> None:
    """An ONNX file and its external data."""
    _place(model, constants, data.name)
    try:
        with whole_file.replacing(data) as private, private.open("wb") as stream:
            _write_data(stream, model, constants, 0)
    except OSError as error:
        raise ModelbuildError(
            f"cannot write {data.name}",
            where=str(data.parent),
            why=error.strerror or str(error),
            advice="make room on that disk, or write into a folder that you may write to",
        ) from None
    whole_file.write(path, model.SerializeToString(deterministic=True))


def read(path: Path) -> tuple[ModelProto, dict[str, Array]]:
    """The protobuf, and the constants kept apart, mapped into memory: what is not used is not read."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_HEAD.size)
        length = _HEAD.unpack(head)[1] if len(head) == _HEAD.size else size
        end = _HEAD.size + length
        try:
            model = onnx.load_model_from_string(stream.read(length) if end <= size else b"")
        except DecodeError as error:
            raise _damaged(path) from error
    if end > size or not model.HasField("graph"):
        raise _damaged(path)
    apart = [t for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    return model, {tensor.name: _mapped(path, tensor, _aligned(end), size) for tensor in apart}


def _mapped(path: Path, tensor: TensorProto, start: int, size: int) -> Array:
    dtype, shape = dtype_of(tensor.data_type, tensor.name), tuple(int(dim) for dim in tensor.dims)
    offset = start + int(_fields(tensor)["offset"])
    if offset + math.prod(shape) * dtype.itemsize > size:
        raise _damaged(path)
    return np.asarray(np.memmap(path, dtype.newbyteorder("<"), "r", offset, shape))


def _damaged(path: Path) -> ModelbuildError:
    return ModelbuildError("this graph file is damaged", where=str(path), advice="remove it and build again")


def _fields(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _place(model: ModelProto, constants: Mapping[str, Array], location: str) -> None:
    """Writes the place of each constant that is apart into its initializer."""
    offset = 0
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            length = constants[tensor.name].nbytes
            for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
                tensor.external_data.add(key=key, value=value)
            offset = _aligned(offset + length)


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def _write_data(stream: BinaryIO, model: ModelProto, constants: Mapping[str, Array], start: int) -> None:
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            stream.seek(start + int(_fields(tensor)["offset"]))
            stream.write(serial.data(constants[tensor.name]))
